"""Limits of calls in flight that connections learn: this worker's part in it.

A step is due every half second while calls are in flight, whether or not any of them ends: a dead unit ends none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence

from limiter.core import in_flight, learning
from limiter.core.store import EndedCall, Store
from limiter.core.types import Decision
from limiter.core.window import Stack
from limiter.gateway.background import Background
from limiter.stores.errors import StoreError


class Learner:
    """One per worker and event loop."""

    def __init__(self, store: Store, *, every_s: float = learning.EVERY_MS / 1000) -> None:
        self._store = store
        self._every_s = every_s
        self._running: Counter[int] = Counter()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._steps = Background()

    def decided(self, stack: Stack, decision: Decision) -> None:
        """A call was let in flight, or refused: calls of workers that died may fill a limit that no end reconsiders."""
        connection = stack.subject.connection
        if decision.leases:
            self._running[connection] += 1
        if connection not in self._timers:
            self._schedule(stack)

    def ended(self, stack: Stack) -> None:
        """It is no longer; how it ended is handed in later."""
        self._running[stack.subject.connection] -= 1

    async def heard(self, stack: Stack, ends: Sequence[EndedCall]) -> None:
        """The ends of these calls are recorded. A step that the store cannot take now is taken the next time."""
        if stack.learned is not None:
            with contextlib.suppress(StoreError):
                await in_flight.heard(self._store, stack.subject.connection, ends, stack.learned.settings)

    async def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        await self._steps.drain()

    def _schedule(self, stack: Stack) -> None:
        loop = asyncio.get_running_loop()
        self._timers[stack.subject.connection] = loop.call_later(self._every_s, self._step, stack)

    def _step(self, stack: Stack) -> None:
        connection = stack.subject.connection
        del self._timers[connection]
        if self._running[connection] > 0:
            self._schedule(stack)
        else:
            del self._running[connection]
        self._steps.start(self.heard(stack, ()))
