"""redis-py's connections, to one of several servers. A store that cannot work now is a connection that is lost.

Otherwise a server that a failover has made a replica keeps its callers: it responds, but cannot serve them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from limiter.stores.away import is_unavailable

Seed = tuple[str, int]
_A_REPLICA = ("slave", b"slave")


def lost(error: ResponseError) -> ConnectionError | None:
    """The lost connection that a reply stands for, if it is one of :data:`~limiter.stores.away.UNAVAILABLE`."""
    # redis-py keeps the first word apart for those it has classes for.
    text = f"{error.status_code} {error}" if error.status_code else str(error)
    return ConnectionError(f"the store cannot work now: {text}") if is_unavailable(text) else None


def _refuse_replica(reply: Any, connection: Any) -> None:
    if reply and reply[0] in _A_REPLICA:
        raise ConnectionError(f"{connection.host}:{connection.port} is a replica")


_served: dict[tuple[Seed, ...], Seed] = {}
"""Of each list of servers the one that served last: all connections of a process begin with it.

A frozen server costs a connecting process one timeout, and should not cost every new connection one.
"""


class _Seeded:
    """``seeds``: servers of which the first that can be reached and is no replica is used; none: host and port are."""

    def __init__(self, *args: Any, seeds: Sequence[Seed] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seeds = tuple(seeds) or ((self.host, self.port),)

    def _in_order(self) -> list[Seed]:
        """The one that served last, then the others as they are named."""
        return sorted(self._seeds, key=lambda seed: seed != _served.get(self._seeds))

    def _use(self, seed: Seed) -> None:
        self.host, self.port = seed

    def _keep(self, seed: Seed) -> None:
        """Begin with this one the next time."""
        if len(self._seeds) > 1:
            _served[self._seeds] = seed

    host: str
    port: int


# The two below are alike but for await: redis-py has two families of connections. Their decisions stand once, above.
# Code for both would have to be a generator that either drives, longer than this and in the way of every traceback.


class _Sync(_Seeded):
    def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        error: Exception | None = None
        for seed in self._in_order():
            self._use(seed)
            try:
                super().connect_check_health(*args, **kwargs)  # type: ignore[misc]
            except (ConnectionError, TimeoutError) as failed:
                error = error or failed
            else:
                self._keep(seed)
                return
        raise error or ConnectionError("no server is named")

    def on_connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        super().on_connect_check_health(*args, **kwargs)  # type: ignore[misc]
        if len(self._seeds) > 1:
            self.send_command("ROLE", check_health=False)  # type: ignore[attr-defined]
            try:
                _refuse_replica(self.read_response(), self)
            except ResponseError:
                return  # a user without the right to ask

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ResponseError as error:
            if (gone := lost(error)) is None:
                raise
            self.disconnect()  # type: ignore[attr-defined]
            raise gone from error


class _Async(_Seeded):
    async def connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        error: Exception | None = None
        for seed in self._in_order():
            self._use(seed)
            try:
                await super().connect_check_health(*args, **kwargs)  # type: ignore[misc]
            except (ConnectionError, TimeoutError) as failed:
                error = error or failed
            else:
                self._keep(seed)
                return
        raise error or ConnectionError("no server is named")

    async def on_connect_check_health(self, *args: Any, **kwargs: Any) -> None:
        await super().on_connect_check_health(*args, **kwargs)  # type: ignore[misc]
        if len(self._seeds) > 1:
            await self.send_command("ROLE", check_health=False)  # type: ignore[attr-defined]
            try:
                _refuse_replica(await self.read_response(), self)
            except ResponseError:
                return  # a user without the right to ask

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ResponseError as error:
            if (gone := lost(error)) is None:
                raise
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise gone from error


class SeededConnection(_Sync, redis.Connection):
    """Over TCP. As for the others, replies of :data:`~limiter.stores.away.UNAVAILABLE` end it."""


class SecureConnection(_Sync, redis.SSLConnection):
    """Over TLS."""


class AsyncConnection(_Async, redis.asyncio.Connection):
    """Over TCP, on an event loop."""


class AsyncSecureConnection(_Async, redis.asyncio.SSLConnection):
    """Over TLS, on an event loop."""
