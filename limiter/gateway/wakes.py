"""Slots that come free by the end of another worker's call: heard from the store, over one connection for all lines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

import redis.asyncio
from redis.exceptions import RedisError

from limiter.stores.prefix import named

_AGAIN_S = 1.0
_READ_S = 30.0
log = logging.getLogger(__name__)


class Wakes:
    """One worker's. ``client`` None: nothing is heard. The connection is opened by the first line that needs it.

    A message may be lost with its connection: who relies on one looks by itself now and then.
    """

    def __init__(self, client: redis.asyncio.Redis | None, *, freed: Callable[[Iterable[str]], None]) -> None:
        self._client = client
        self._freed = freed
        self._wanted: set[str] = set()
        self._heard: set[str] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def hears(self, name: str) -> bool:
        """Whether the end of every call that holds a slot of this count is heard now."""
        return name in self._heard

    def listen(self, name: str) -> None:
        """Hear the ends of calls that hold a slot of this count."""
        if self._client is not None:
            self._wanted.add(name)
            self._changed.set()
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._run(self._client))

    def forget(self, name: str) -> None:
        """Hear them no more."""
        if name in self._wanted:
            self._wanted.discard(name)
            self._changed.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._client is not None:
            await self._client.aclose()

    async def _run(self, client: redis.asyncio.Redis) -> None:
        while True:
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(named("q:wakes"))  # nobody's: a connection has to have one
                    await self._hear(channel)
            except (RedisError, OSError) as error:
                log.debug("slots that come free elsewhere are not heard: %s", error)
            self._heard.clear()
            self._changed.set()
            await asyncio.sleep(_AGAIN_S)

    async def _hear(self, channel: redis.asyncio.client.PubSub) -> None:
        reading = asyncio.ensure_future(self._read(channel))
        try:
            while not reading.done():
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait((reading, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                self._changed.clear()
                await self._follow(channel)
            await reading
        finally:
            reading.cancel()

    async def _read(self, channel: redis.asyncio.client.PubSub) -> None:
        while True:
            message = await channel.get_message(timeout=_READ_S)
            if message is not None and message["type"] == "message":
                self._freed([message["channel"].decode()])

    async def _follow(self, channel: redis.asyncio.client.PubSub) -> None:
        """Let the subscriptions be those that are wanted. What came free before one was made is not heard: look."""
        if new := self._wanted - self._heard:
            await channel.subscribe(*new)
            self._heard |= new
            self._freed(new)
        if old := self._heard - self._wanted:
            self._heard -= old
            await channel.unsubscribe(*old)
