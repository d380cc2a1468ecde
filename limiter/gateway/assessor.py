"""The last samples of a burst are assessed too, whichever worker recorded them.

A multiplier is computed when a call ends, at most once in :data:`~limiter.core.store.EVERY_MS`: the ends that come
within that time after a computation would wait for the next call. So the worker that records them returns when the next
computation is due. Should it die meanwhile, another worker finds in the store that it is due. Of many connections in
use at once each worker looks at a few at a time, at random, so that its cost is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

from limiter.core import keys
from limiter.core.store import ALIVE, EVERY_MS, Store
from limiter.core.window import MultiplierScope
from limiter.gateway.background import Background
from limiter.stores.errors import StoreError

LOOK_S = 0.1
_LATELY_S = 10
_AT_ONCE = 20
"""Connections, and multipliers of each, that one look takes."""
_NOTED_EVERY_S = 1.0


class Assessor:
    """Computes multipliers that are due. One per worker and event loop."""

    def __init__(self, store: Store, *, every_ms: int = EVERY_MS, look_s: float = LOOK_S) -> None:
        self._store = store
        self.every_ms = every_ms
        self._look_s = look_s
        self._due: dict[MultiplierScope, asyncio.TimerHandle] = {}
        self._running = Background()
        self._noted: dict[int, float] = {}

    async def noting(self, connection: int) -> None:
        """Before samples of a connection are kept: other workers see that it is in use. Raises StoreError."""
        now = asyncio.get_running_loop().time()
        if now - self._noted.get(connection, -_NOTED_EVERY_S) >= _NOTED_EVERY_S:
            await self._store.run(ALIVE, [keys.sampled()], connection, _LATELY_S * 1_000_000)
            self._noted[connection] = now

    def later(self, scope: MultiplierScope, in_ms: int) -> None:
        """Compute this multiplier then, unless a call that ends before does it."""
        if scope not in self._due:
            self._due[scope] = asyncio.get_running_loop().call_later(in_ms / 1000, self._begin, scope)

    async def look(self, stop: asyncio.Event) -> None:
        """Compute overdue multipliers, until ``stop`` is set."""
        while not stop.is_set():
            with contextlib.suppress(StoreError):
                await self.look_once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._look_s)
        for handle in self._due.values():
            handle.cancel()

    async def look_once(self) -> None:
        """Raises StoreError."""
        for connection in _some(await self._connections()):
            for scope in await self._store.unassessed(connection, most=_AT_ONCE):
                await self._store.assess(scope, every_ms=self.every_ms)

    async def _connections(self) -> list[int]:
        found = await self._store.command("ZRANGE", keys.sampled(), 0, -1, key=keys.sampled())
        return [int(name) for name in found]

    def _begin(self, scope: MultiplierScope) -> None:
        del self._due[scope]
        self._running.start(self._assess(scope))

    async def _assess(self, scope: MultiplierScope) -> None:
        with contextlib.suppress(StoreError):
            await self._store.assess(scope, every_ms=self.every_ms)


def _some(connections: Sequence[int]) -> Sequence[int]:
    return connections if len(connections) <= _AT_ONCE else random.sample(connections, _AT_ONCE)
