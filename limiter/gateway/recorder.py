"""What happens after the response: outcomes, latencies and released slots on their way to the store.

A caller waits for none of it. The ends of calls that share a stack travel together: those that hold a slot leave in
the same tick, the others within a few milliseconds. What the store cannot take now is kept, bounded, and sent again
when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from limiter.core.adaptive import AdaptiveSettings
from limiter.core.store import MAX_ENDS, EndedCall, Store
from limiter.core.window import Stack
from limiter.gateway.assessor import Assessor
from limiter.gateway.background import Background
from limiter.gateway.learner import Learner
from limiter.stores.errors import StoreError, StoreOutcomeUnknown

log = logging.getLogger(__name__)
_KEPT = 100_000
_TOGETHER_S = 0.005

_Group = tuple[Stack, AdaptiveSettings | None]


class Recorder:
    """Sends the ends of calls to the store in the background. One per worker and event loop."""

    def __init__(self, store: Store, assessor: Assessor, learner: Learner, *, again_s: float = 1.0) -> None:
        self._store = store
        self._learner = learner
        self._assessor = assessor
        self._again_s = again_s
        self._collected: dict[int, tuple[_Group, list[EndedCall]]] = {}
        self._flush: asyncio.Handle | None = None
        self._soon = False
        self._running = Background()
        self._kept: deque[tuple[_Group, Sequence[EndedCall]]] = deque()
        self._kept_ends = 0
        self._again: asyncio.TimerHandle | None = None
        self.lost = 0
        self.freed: Callable[[Sequence[str]], None] = lambda names: None
        """Called with the keys of the limits whose slots have come free."""

    @property
    def waiting(self) -> int:
        """Ends of calls that the store does not have yet, those under way left out."""
        return sum(len(ends) for _, ends in self._collected.values()) + self._kept_ends

    def record(self, stack: Stack, ended: EndedCall, settings: AdaptiveSettings | None) -> None:
        """Note the end of one call, without waiting."""
        group = self._collected.get(id(stack))
        if group is None:
            group = self._collected[id(stack)] = ((stack, settings), [])
        group[1].append(ended)
        urgent = stack.holds_slots or len(group[1]) >= MAX_ENDS
        if self._flush is None or (urgent and not self._soon):
            self._schedule(soon=urgent)

    async def drain(self) -> None:
        """Send the noted ends and wait until they have been taken or kept."""
        self._send_collected()
        await self._running.drain()

    async def close(self) -> None:
        """Send everything once more, and stop."""
        if self._again is not None:
            self._again.cancel()
        self._send_kept()
        await self.drain()
        if self._again is not None:
            self._again.cancel()
        if self._kept_ends:
            log.warning("%d ends of calls were not recorded: the store is unavailable", self._kept_ends)

    def _schedule(self, *, soon: bool) -> None:
        loop = asyncio.get_running_loop()
        if self._flush is not None:
            self._flush.cancel()
        self._soon = soon
        self._flush = (
            loop.call_soon(self._send_collected) if soon else loop.call_later(_TOGETHER_S, self._send_collected)
        )

    def _send_collected(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        self._flush, self._soon = None, False
        collected, self._collected = self._collected, {}
        for group, ends in collected.values():
            for at in range(0, len(ends), MAX_ENDS):
                self._start(group, ends[at : at + MAX_ENDS])

    def _start(self, group: _Group, ends: Sequence[EndedCall]) -> None:
        self._running.start(self._send(group, ends))

    async def _send(self, group: _Group, ends: Sequence[EndedCall]) -> None:
        stack, settings = group
        if settings is not None:
            try:
                await self._assessor.noting(stack.subject.connection)
            except StoreError:  # whatever became of that, nothing of these ends was sent
                self._keep(group, ends)
                return
        try:
            recorded = await self._store.record(stack, ends, settings=settings, every_ms=self._assessor.every_ms)
            if stack.slots:
                self.freed(stack.slots)
            if recorded.assess_in_ms is not None:
                self._assessor.later(stack.multiplier_scope, recorded.assess_in_ms)
            await self._learner.heard(stack, ends)
        except StoreOutcomeUnknown:
            self.lost += len(ends)  # they may have been counted, and are not counted twice; slots end with their lease
        except StoreError:
            self._keep(group, ends)

    def _keep(self, group: _Group, ends: Sequence[EndedCall]) -> None:
        self._kept.append((group, ends))
        self._kept_ends += len(ends)
        while self._kept_ends > _KEPT:
            forgotten = len(self._kept.popleft()[1])
            self._kept_ends -= forgotten
            self.lost += forgotten
        if self._again is None:
            self._again = asyncio.get_running_loop().call_later(self._again_s, self._send_kept)

    def _send_kept(self) -> None:
        self._again = None
        kept, self._kept, self._kept_ends = self._kept, deque(), 0
        for group, ends in kept:
            self._start(group, ends)
