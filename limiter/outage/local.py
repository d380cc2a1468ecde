"""Decisions without the store: each worker spends its own share of every limit, until the store is back.

A share is floor(limit / workers of the whole deployment), at least 1, so all together stay within the limit as far as
it divides. The count is kept in sixtieths of a window, the oldest in full: a share is never exceeded. Nothing is
carried over from the store or back to it, and spent units stay spent until their window has passed, so a store that
comes and goes admits at most one more limit in one window; docs/limiter.md states the bound.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from limiter.core import keys
from limiter.core.algorithms import rules_of
from limiter.core.peers import Peers
from limiter.core.types import COUNTER_SLICES, MICROS, PPM, Decision, Limit, LimitState
from limiter.core.window import Call, Stack, retry_after
from quota_platform.base.lru import Lru

_KEPT = 50_000
"""Counts held at most; the least recently used one is forgotten first."""


@dataclass(slots=True)
class _Count:
    """Units by the end of their slice (us), oldest first; or running calls by the end of their lease (us).

    ``counts_until``: the instant (us) from which on nothing of it counts.
    """

    slices: deque[list[int]] = field(default_factory=deque)
    used: int = 0
    leases: dict[str, int] = field(default_factory=dict)
    counts_until: int = 0


class LocalShare:
    """One worker's own counts. ``clock`` gives microseconds since the epoch."""

    def __init__(self, peers: Peers, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._peers = peers
        self._clock = clock
        self._counts: Lru[str, _Count] = Lru(_KEPT)

    @property
    def held(self) -> int:
        """How many counts are in memory."""
        return len(self._counts)

    def decide(self, stack: Stack, call: Call) -> Decision:
        """Decide one call from this worker's share, all or nothing. The multiplier is not known and not applied."""
        now = self._clock()
        counts = [self._count(keys.window(limit, stack.subject)) for limit in stack.limits]
        states = [self._look(li, c, call.cost, now) for li, c in zip(stack.limits, counts, strict=True)]
        admitted = all(state.wait_us == 0 or state.limit.shadow for state in states)
        shadow_admitted = all(state.wait_us == 0 for state in states)
        if admitted and call.charge:
            states = [
                _charge(state, c, call, now) if shadow_admitted or not state.limit.shadow else state
                for state, c in zip(states, counts, strict=True)
            ]
        return Decision(
            allowed=admitted,
            decision_id=call.decision_id,
            at_us=now,
            cost=call.cost,
            multiplier_ppm=PPM,
            states=tuple(states),
            retry_after_us=0 if admitted else retry_after(states),
            degraded=True,
        )

    def release(self, stack: Stack, lease: str) -> None:
        """Free the slots of a call that was admitted here; any other lease is ignored."""
        for name in stack.slots:
            if count := self._counts.peek(name):
                count.leases.pop(lease, None)

    def forget(self) -> None:
        """Drop counts that have run out, those unused for longest first; called whenever the store is back."""
        now = self._clock()
        for name, count in self._counts.items():
            if count.counts_until > now:
                return
            self._counts.drop(name)

    def _count(self, name: str) -> _Count:
        count = self._counts.get(name)
        if count is None:
            self._counts.put(name, count := _Count())
        return count

    def _look(self, limit: Limit, count: _Count, cost: int, now: int) -> LimitState:
        rules = rules_of(limit.algorithm)
        if rules.holds_slots:
            return self._look_at_slots(limit, count, now)
        window_us, share = rules.local_window_us(limit), self._peers.share(rules.capacity(limit))
        while count.slices and count.slices[0][0] + window_us <= now:
            count.used -= count.slices.popleft()[1]
        wait = -1 if cost > share else 0
        if wait == 0 and count.used + cost > share:
            freed = 0
            for end, units in count.slices:
                freed += units
                if count.used + cost - freed <= share:
                    wait = end + window_us - now
                    break
        reset = count.slices[0][0] + window_us - now if count.slices else window_us
        return LimitState(limit, count.used, share, wait, reset)

    def _look_at_slots(self, limit: Limit, count: _Count, now: int) -> LimitState:
        for lease in [lease for lease, ends in count.leases.items() if ends <= now]:
            del count.leases[lease]
        share = self._peers.share(limit.quota)
        used = len(count.leases)
        return LimitState(limit, used, share, MICROS if used >= share else 0, 0)


def _charge(state: LimitState, count: _Count, call: Call, now: int) -> LimitState:
    """Charge one limit; the state after it."""
    limit, rules = state.limit, rules_of(state.limit.algorithm)
    if rules.holds_slots:
        count.leases[call.decision_id] = now + limit.lease_us
        count.counts_until = max(count.counts_until, now + limit.lease_us)
        return state._replace(used=len(count.leases))
    window_us = rules.local_window_us(limit)
    slice_us = -(-window_us // COUNTER_SLICES)
    end = (now // slice_us + 1) * slice_us
    if count.slices and count.slices[-1][0] >= end:
        count.slices[-1][1] += call.cost
    else:
        count.slices.append([end, call.cost])
    count.used += call.cost
    count.counts_until = max(count.counts_until, end + window_us)
    return state._replace(used=count.used)
