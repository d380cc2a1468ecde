"""Calls that wait for their turn instead of being refused: nobody polls, and a call costs memory and no thread.

The decision says exactly when a refused call passes. So the first call of a line sleeps until then and is decided
again, and the others behind it are not: one decision goes out for each unit that comes free.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import redis.asyncio

from limiter.core import keys
from limiter.core.algorithms import rules_of
from limiter.core.decision_ids import binding
from limiter.core.types import CONCURRENCY_HINT_US, MICROS, Decision
from limiter.core.window import Stack
from limiter.gateway import prefer
from limiter.gateway.lanes import lane_of, rest_of
from limiter.gateway.line import LaneName, Rest, Waiter, WaitingLine, Woken, after
from limiter.gateway.problems import GatewayProblem
from limiter.gateway.wakes import Wakes
from quota_platform.base.lean.request import Departure

_LOOKS_EVERY_US = 10_000_000
"""A slot's worker may have been killed, or its message lost: so often one is looked for all the same."""

_TENANTS_SHOWN = 100


class Attempt(Protocol):
    """A call that can be decided several times, each time by the policy that is in force then."""

    @property
    def stack(self) -> Stack: ...

    async def decide(self, *, patience_us: int | None, waited: bool) -> Decision:
        """Decide it, for good where it has no patience; raises :class:`~limiter.gateway.problems.GatewayProblem`."""
        ...

    def undo(self, decision: Decision) -> None:
        """It was admitted for a caller that is gone: give back its units."""
        ...


@dataclass(frozen=True, slots=True)
class WaitBounds:
    """At most so long a wait, and so many waiting calls in one worker, in all and of one key."""

    seconds: int = 30
    calls: int = 2000
    calls_per_key: int = 500


@dataclass(slots=True)
class Wait:
    """How long one call may wait, how long it did, and how long its caller would (None: it named no time)."""

    seconds: int
    preferred: int | None = None
    waited_s: float | None = None

    def fields(self) -> list[tuple[str, str]]:
        """The headers that report it."""
        fields = []
        if self.preferred is not None:
            fields.append(("preference-applied", f"wait={self.seconds}"))
        if self.waited_s is not None:
            fields.append(("server-timing", f"wait;dur={self.waited_s * 1000:.1f}"))
        return fields


class Waiting:
    """The lines of one worker and event loop."""

    def __init__(
        self,
        bounds: WaitBounds | None = None,
        *,
        wakes: redis.asyncio.Redis | None = None,
        looks_every_us: int = _LOOKS_EVERY_US,
    ) -> None:
        self._bounds = bounds or WaitBounds()
        self._wakes = Wakes(wakes, freed=self._free)
        self._looks_every_us = looks_every_us
        self._lines: dict[str, WaitingLine] = {}
        self._waiters: dict[Waiter, None] = {}
        """In the order of their arrival."""
        self._by_key: Counter[str] = Counter()
        self._by_tenant: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._stopping = False

    @property
    def calls(self) -> int:
        """How many wait now."""
        return len(self._waiters)

    def of_tenants(self) -> dict[str, int]:
        """How many of them each tenant has, of those with the most."""
        return dict(self._by_tenant.most_common(_TENANTS_SHOWN))

    def asked(self, preference: str | None, by_policy: int = 0) -> Wait | None:
        """How long a call may wait: as its caller prefers, else as its policy says; None: not at all."""
        preferred = None if preference is None else prefer.wait_seconds(preference)
        seconds = min(by_policy if preferred is None else preferred, self._bounds.seconds)
        return Wait(seconds, preferred) if seconds > 0 else None

    async def decide(self, attempt: Attempt, wait: Wait, *, key: str, departure: Departure | None) -> Decision:
        """Decide a call that may wait, be it for the unit that is held for it; raises Problem."""
        started = asyncio.get_running_loop().time()
        ends = started + wait.seconds
        line = self._line_before(attempt.stack) if wait.seconds else None
        if not self._has_room(key) or (line is not None and line.next_at > ends):
            return await attempt.decide(patience_us=None, waited=False)
        decision = None
        if line is None:
            decision = await attempt.decide(patience_us=wait.seconds * MICROS, waited=False)
            if not decision.waits:
                return decision
            if not self._has_room(key):
                return await attempt.decide(patience_us=None, waited=False)
        try:
            with self._counted(key, attempt.stack.subject.tenant, departure) as waiter:
                return await self._queue(attempt, waiter, line, decision, ends)
        finally:
            wait.waited_s = asyncio.get_running_loop().time() - started

    def freed(self, names: Iterable[str]) -> None:
        """Slots of these counts have come free by the end of a call of this worker's."""
        self._free(name for name in names if not self._wakes.hears(name))

    async def close(self) -> None:
        """Hear nothing more."""
        await self._wakes.close()

    def _free(self, names: Iterable[str]) -> None:
        for name in names:
            if (line := self._lines.get(name)) is not None:
                line.freed()

    def stop(self) -> None:
        """Decide every waiting call now, and let none wait any more."""
        self._stopping = True
        for waiter in list(self._waiters):
            waiter.wake(Woken.STOPPING)

    def _has_room(self, key: str) -> bool:
        return (
            not self._stopping
            and len(self._waiters) < self._bounds.calls
            and self._by_key[key] < self._bounds.calls_per_key
        )

    @contextmanager
    def _counted(self, key: str, tenant: str, departure: Departure | None) -> Iterator[Waiter]:
        """A call among those that wait, which hears when its caller leaves."""
        waiter = Waiter(next(self._numbers))
        self._waiters[waiter] = None
        counted = ((self._by_key, key), (self._by_tenant, tenant))
        for counts, name in counted:
            counts[name] += 1
        if departure is not None:
            departure.on_leave = waiter.leave
            if departure.left:
                waiter.wake(Woken.GONE)
        try:
            yield waiter
        finally:
            if departure is not None:
                departure.on_leave = None
            del self._waiters[waiter]
            for counts, name in counted:
                counts[name] -= 1
                if not counts[name]:
                    del counts[name]

    async def _queue(
        self, attempt: Attempt, waiter: Waiter, line: WaitingLine | None, decision: Decision | None, ends: float
    ) -> Decision:
        """Wait and be decided until a decision is final."""
        at_last = 0.0
        while True:
            if decision is not None and decision.held:
                at_last = at_last or asyncio.get_running_loop().time() + _held_s(attempt.stack, decision)
                decision = await self._wait_for_its_unit(attempt, waiter, decision, ends, at_last=at_last)
            else:
                if decision is not None:
                    line = self._line_of(attempt.stack, decision)
                    line.rest(self._rest(attempt.stack, decision, line.name), lane_of(attempt.stack, line.name))
                assert line is not None, "a call waits in a line"
                lane = lane_of(attempt.stack, line.name)
                decision = await self._wait_in(line, lane, attempt, waiter, ends)
            if not decision.waits:
                return decision

    async def _wait_for_its_unit(
        self, attempt: Attempt, waiter: Waiter, held: Decision, ends: float, *, at_last: float
    ) -> Decision:
        """Sleep until the unit comes free that is held for this call: nobody else gets it, so there is no line."""
        loop = asyncio.get_running_loop()
        turn = loop.call_later(after(held.retry_after_us or 0), waiter.wake, Woken.TURN)
        try:
            why = await waiter.until_woken()
        finally:
            turn.cancel()
        if why is Woken.GONE:
            raise _given_up()
        if why is not Woken.TURN or loop.time() > at_last:
            return await attempt.decide(patience_us=None, waited=True)
        left_us = max(0, int((ends - loop.time()) * MICROS))
        return self._unless_gone(attempt, waiter, await attempt.decide(patience_us=left_us, waited=True))

    async def _wait_in(
        self, line: WaitingLine, lane: LaneName, attempt: Attempt, waiter: Waiter, ends: float
    ) -> Decision:
        """Wait in a line for the turn to be decided."""
        late = asyncio.get_running_loop().call_at(ends, waiter.wake, Woken.LATE)
        line.add(waiter, lane)
        try:
            why = await waiter.until_woken()
        except BaseException:  # the task was cancelled
            if waiter.has_turn:
                line.end_turn(Rest(), lane)
            raise
        finally:
            late.cancel()
            line.remove(waiter, lane)
        if why is Woken.GONE:
            raise _given_up()
        if why is not Woken.TURN:
            return await attempt.decide(patience_us=None, waited=True)
        rest = Rest()
        try:
            left_us = max(0, int((ends - asyncio.get_running_loop().time()) * MICROS))
            decision = await attempt.decide(patience_us=left_us, waited=True)
            rest = self._rest(attempt.stack, decision, line.name)
        finally:
            line.end_turn(rest, lane)
        return self._unless_gone(attempt, waiter, decision)

    @staticmethod
    def _unless_gone(attempt: Attempt, waiter: Waiter, decision: Decision) -> Decision:
        if waiter.gone:
            if decision.allowed:
                attempt.undo(decision)
            raise _given_up()
        return decision

    def _line_before(self, stack: Stack) -> WaitingLine | None:
        """The line that a new call joins: others wait for one of its limits already."""
        if not self._lines:
            return None
        for name in (keys.pause(stack.subject.connection), *stack.windows):
            line = self._lines.get(name)
            if line is not None and line.holds_up(lane_of(stack, name)):
                return line
        return None

    def _line_of(self, stack: Stack, decision: Decision) -> WaitingLine:
        """Where a call waits that this decision refuses: for the limit whose wait ends last, or for the upstream."""
        violated = decision.violated
        name = keys.pause(stack.subject.connection)
        if violated:
            name = stack.windows[decision.states.index(binding(violated))]
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = WaitingLine(name, ended=self._end, joined=not violated)
            if violated and rules_of(binding(violated).limit.algorithm).holds_slots:
                self._wakes.listen(name)
        return line

    def _rest(self, stack: Stack, decision: Decision, name: str) -> Rest:
        """Where the end of every call is heard, a hint of a second is no reason to look."""
        rest = rest_of(stack, decision, name)
        if rest.line_us == CONCURRENCY_HINT_US and self._wakes.hears(name):
            return rest._replace(line_us=self._looks_every_us)
        return rest

    def _end(self, name: str) -> None:
        self._lines.pop(name, None)
        self._wakes.forget(name)


def _held_s(stack: Stack, decision: Decision) -> float:
    """How long a unit is held for a call at most: until it comes free, and for as long as others may delay it."""
    return ((decision.retry_after_us or 0) + max(limit.reserve_us for limit in stack.limits)) / MICROS


def _given_up() -> GatewayProblem:
    """For a caller that has closed its side of the connection: most never see it."""
    return GatewayProblem(429, "wait-given-up", "The caller closed its side of the connection while its call waited.")
