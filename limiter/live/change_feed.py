"""Follows the outbox of edits: looks when the bell rings, and every second in case it did not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import redis.asyncio
from django.conf import settings
from django.db import Error as DatabaseFault
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from limiter.live.loader import DirectoryUnavailable
from limiter.live.queries import Aside
from limiter.live.shared_cache import TTL_SECONDS
from quota_platform.base import changes
from quota_platform.base.changes import ChangesLost, Touch

EVERY_SECONDS = 1.0
NOTED = 16
"""Changes whose time is noted: more than people make in the seconds in which they ask about them."""
NOTHING = -1

log = logging.getLogger(__name__)


class Follower:
    """Hands every change to ``apply(touched, floor)`` and remembers how far it got.

    After a start ``touched`` holds the changes since the oldest cached entry; when changes were lost ``floor`` is the
    newest change there is, and :data:`NOTHING` otherwise. What ``apply`` could not take in is handed to it again.
    ``saw`` first gets the number of the change that later reads include.
    """

    def __init__(
        self,
        apply: Callable[[Mapping[Touch, int], int], Awaitable[None]],
        *,
        saw: Callable[[int], None],
        start_over: Callable[[int], None],
        url: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._apply = apply
        self._saw = saw
        self._start_over = start_over
        self._url = url
        self._clock = clock
        self._aside = Aside(1, name="follow", keep=True)
        self._rung = asyncio.Event()
        self._progress = asyncio.Condition()
        self._looking = asyncio.Lock()
        self._started = False
        self._looked_at: float | None = None
        self._trouble = ""
        self._wall = wall
        self.seq = 0
        self.applied: deque[tuple[int, float]] = deque(maxlen=NOTED)
        """The newest changes that were taken in, and when (epoch seconds)."""

    def looked_seconds_ago(self) -> float | None:
        """The age of the last look that succeeded, None before the first."""
        return None if self._looked_at is None else self._clock() - self._looked_at

    async def look(self) -> None:
        """Take in new changes; raises a database fault or :class:`DirectoryUnavailable`, having lost nothing."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        floor = NOTHING
        if not self._started:
            newest, touched = await self._aside.run(_beginning)
        else:
            try:
                newest, touched = await self._aside.run(_after, self.seq)
            except ChangesLost as error:
                log.warning("Everything held is loaded again: %s", error)
                newest, touched = await self._aside.run(changes.latest_id), {}
                floor = newest
                self._start_over(floor)
        self._saw(max(newest, *touched.values()) if touched else newest)
        await self._apply(touched, floor)
        if self._started and newest != self.seq:
            self.applied.append((newest, round(self._wall(), 3)))
        self._started = True
        self._looked_at = self._clock()
        if newest != self.seq:
            async with self._progress:
                self.seq = newest
                self._progress.notify_all()

    async def reached(self, seq: int) -> None:
        """Wait until change ``seq`` was taken in."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.seq >= seq)

    async def run(self, stop: asyncio.Event) -> None:
        """Look and look again until ``stop`` is set."""
        waits = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._wake_to(stop))]
        try:
            while not stop.is_set():
                self._rung.clear()
                await self._look_safely()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._rung.wait(), EVERY_SECONDS)
        finally:
            for task in waits:
                await _cancelled(task)

    async def close(self) -> None:
        await self._aside.close()

    async def _look_safely(self) -> None:
        """A failed look is logged once and repeated; held entries serve meanwhile."""
        try:
            await self.look()
        except (DatabaseFault, DirectoryUnavailable) as error:
            self._say(f"Edits cannot be read at the moment; held entries continue to serve: {type(error).__name__}")
        except Exception:
            log.exception("A change could not be taken in; it is tried again")
        else:
            self._say("")

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning(trouble or "Edits can be read again")

    async def _wake_to(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._rung.set()

    async def _listen(self) -> None:
        """Hear the bell. The confirmation of the subscription counts as a ring: edits may have been made before it."""
        while True:
            with contextlib.suppress(redis.RedisError, OSError):
                async with self._client() as client, client.pubsub() as heard:
                    await heard.subscribe(changes.bell())
                    async for _ in heard.listen():
                        self._rung.set()
            await asyncio.sleep(EVERY_SECONDS)

    def _client(self) -> Any:
        return redis.asyncio.Redis.from_url(
            self._url, **settings.REDIS_ASYNC_OPTIONS, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """Cancel until it has ended: redis-py loses a cancellation that comes while it subscribes."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)


def _beginning() -> tuple[int, dict[Touch, int]]:
    # The number first: a change noted during the rest of the read is read again.
    return changes.latest_id(), changes.recent(timedelta(seconds=2 * TTL_SECONDS))


def _after(seq: int) -> tuple[int, dict[Touch, int]]:
    rows = changes.since(seq)
    return rows[-1].pk if rows else seq, {changes.touch_of(row): row.pk for row in rows}
