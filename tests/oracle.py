"""The limiter written the obvious way: what the deciding script is compared with.

Slow, exact and plain. Every count has one purpose, the units counted at an instant, and everything else follows
from it by definition: a call passes if the count and its cost stay within the limit, and the wait is the time to
the earliest instant at which it would pass if nobody else called, found by trying instants in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from limiter.core.shape import LimitsThen
from limiter.core.types import CountedPer, Limit, Subject
from limiter.core.window import Call

SECOND_US = 1_000_000
SLICES = 60


@dataclass(frozen=True)
class Rule:
    """A limit as it is in force at one decision: ``quota`` and ``most`` (units at once) after the multiplier."""

    limit: Limit
    quota: int
    most: int

    @classmethod
    def of(cls, limit: Limit, ppm: int) -> Rule:
        """``ppm``: the multiplier in millionths."""

        def scaled(units: int) -> int:
            return max(1, units * ppm // 1_000_000) if limit.adaptive else units

        at_once = limit.burst if limit.algorithm == "token_bucket" else limit.quota
        return cls(limit, quota=scaled(limit.quota), most=scaled(at_once))


@dataclass(frozen=True)
class Seen:
    """One limit in a verdict, in the words of ``LimitState``."""

    used: int
    effective: int
    wait_us: int
    reset_us: int


@dataclass(frozen=True)
class Verdict:
    allowed: bool
    retry_after_us: int | None
    seen: tuple[Seen, ...]
    event: bool
    """Whether the decision leaves a throttle event: it refused, or a shadow limit would have."""


class Count(Protocol):
    """What a limit remembers. Instants are microseconds."""

    def forget(self, rule: Rule, now: int) -> None:
        """Drop units that have left the window: a window that is made longer later does not bring it back."""

    def used(self, rule: Rule, at: int) -> int: ...

    def earliest(self, rule: Rule, after: int, holds: Callable[[int], bool]) -> int:
        """The first instant after ``after`` at which ``holds``, which only less being counted can bring about."""

    def charge(self, rule: Rule, now: int, call: Call) -> None: ...

    def empty_reset(self, rule: Rule, now: int) -> int: ...


def divided_up(dividend: int, divisor: int) -> int:
    """Rounded up."""
    return -(-dividend // divisor)


def first(instants: Sequence[int], after: int, holds: Callable[[int], bool]) -> int:
    return next(instant for instant in sorted(instants) if instant > after and holds(instant))


class Log:
    """Exact: the admission time of every unit. A unit of time t is counted until, but not at, t + window."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def monotonic(self, at: int) -> int:
        return max([at, *self.times[-1:]])

    def live(self, rule: Rule, at: int) -> list[int]:
        return [time for time in self.times if time + rule.limit.window_us > self.monotonic(at)]

    def forget(self, rule: Rule, now: int) -> None:
        self.times = self.live(rule, now)

    def used(self, rule: Rule, at: int) -> int:
        return len(self.live(rule, at))

    def earliest(self, rule: Rule, after: int, holds: Callable[[int], bool]) -> int:
        return first([time + rule.limit.window_us for time in self.times], after, holds)

    def charge(self, rule: Rule, now: int, call: Call) -> None:
        self.times += [self.monotonic(now)] * call.cost

    def empty_reset(self, rule: Rule, now: int) -> int:
        return rule.limit.window_us


class Counter:
    """Units per slice of a sixtieth of the window; a slice is counted in full until its last instant has left."""

    def __init__(self) -> None:
        self.slices: dict[int, int] = {}

    @staticmethod
    def width(rule: Rule) -> int:
        return divided_up(rule.limit.window_us, SLICES)

    def gone_at(self, rule: Rule, index: int) -> int:
        return (index + 1) * self.width(rule) + rule.limit.window_us

    def monotonic(self, rule: Rule, at: int) -> int:
        return max([at, *(index * self.width(rule) for index in self.slices)])

    def forget(self, rule: Rule, now: int) -> None:
        at = self.monotonic(rule, now)
        self.slices = {i: units for i, units in self.slices.items() if self.gone_at(rule, i) > at}

    def used(self, rule: Rule, at: int) -> int:
        at = self.monotonic(rule, at)
        return sum(units for i, units in self.slices.items() if self.gone_at(rule, i) > at)

    def earliest(self, rule: Rule, after: int, holds: Callable[[int], bool]) -> int:
        return first([self.gone_at(rule, i) for i in self.slices], after, holds)

    def charge(self, rule: Rule, now: int, call: Call) -> None:
        index = self.monotonic(rule, now) // self.width(rule)
        self.slices[index] = self.slices.get(index, 0) + call.cost

    def empty_reset(self, rule: Rule, now: int) -> int:
        return self.gone_at(rule, now // self.width(rule)) - now


class Bucket:
    """Units taken, given back at ``quota`` per window since the last one was taken.

    Counted in parts of a unit, as many as the window has microseconds: so they are whole. When the window is edited,
    the units taken are carried over, a part of one counting as one.
    """

    def __init__(self) -> None:
        self.parts, self.at, self.window_us = 0, 0, 1

    def parts_at(self, rule: Rule, at: int) -> int:
        window_us, parts = rule.limit.window_us, self.parts
        if window_us != self.window_us:
            parts = divided_up(parts, self.window_us) * window_us
        return max(0, parts - max(0, at - self.at) * rule.quota)

    def forget(self, rule: Rule, now: int) -> None:
        """Nothing: only a charge changes a bucket."""

    def used(self, rule: Rule, at: int) -> int:
        return divided_up(self.parts_at(rule, at), rule.limit.window_us)

    def earliest(self, rule: Rule, after: int, holds: Callable[[int], bool]) -> int:
        low, step = after, 1
        while not holds(low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle, high)
        return high

    def charge(self, rule: Rule, now: int, call: Call) -> None:
        self.parts = self.parts_at(rule, now) + call.cost * rule.limit.window_us
        self.at = max(now, self.at)
        self.window_us = rule.limit.window_us

    def empty_reset(self, rule: Rule, now: int) -> int:
        return divided_up(rule.limit.window_us, rule.quota)


class Slots:
    """Running calls by lease; one call is one, whatever it costs."""

    def __init__(self) -> None:
        self.leases: dict[str, int] = {}

    def forget(self, rule: Rule, now: int) -> None:
        self.leases = {lease: ends for lease, ends in self.leases.items() if ends > now}

    def used(self, rule: Rule, at: int) -> int:
        return sum(ends > at for ends in self.leases.values())

    def earliest(self, rule: Rule, after: int, holds: Callable[[int], bool]) -> int:
        return first(list(self.leases.values()), after, holds)

    def charge(self, rule: Rule, now: int, call: Call) -> None:
        self.leases[call.decision_id] = now + rule.limit.lease_us

    def empty_reset(self, rule: Rule, now: int) -> int:
        return 0


_MADE: dict[str, Callable[[], Count]] = {
    "sliding_log": Log,
    "sliding_counter": Counter,
    "token_bucket": Bucket,
    "concurrency": Slots,
}


class Oracle:
    """All counts of all callers. ``decide`` answers as the limiter must."""

    def __init__(self) -> None:
        self.counts: dict[tuple[object, ...], Count] = {}

    def decide(
        self,
        limits: Sequence[Limit],
        *,
        subject: Subject,
        call: Call,
        ppm: int = 1_000_000,
        change: LimitsThen | None = None,
    ) -> Verdict:
        """``change``: limits that are known to replace these at an instant to come."""
        assert call.now_us is not None
        now = call.now_us
        rules = [Rule.of(limit, ppm) for limit in limits]
        counts = [self._count_of(limit, subject) for limit in limits]
        for rule, count in zip(rules, counts, strict=True):
            count.forget(rule, now)
        waits = [_wait(rule, count, now, call.cost) for rule, count in zip(rules, counts, strict=True)]
        enforced = [wait for rule, wait in zip(rules, waits, strict=True) if not rule.limit.shadow]
        allowed = not any(enforced)
        unbroken, under_these = not any(waits), waits
        if change is not None and change.at_us > now:
            rules_then = [Rule.of(limit, ppm) for limit in change.limits]
            waits = _foreseen(rules, rules_then, counts, waits, now, change.at_us - now, call.cost)
            enforced = [wait for rule, wait in zip(rules, waits, strict=True) if not rule.limit.shadow]
        if allowed and call.charge:
            for rule, count in zip(rules, counts, strict=True):
                if unbroken or not rule.limit.shadow:
                    count.charge(rule, now, call)
        return Verdict(
            allowed=allowed,
            retry_after_us=None if -1 in enforced else max(enforced, default=0),
            seen=tuple(_seen(*parts, now) for parts in zip(rules, counts, waits, under_these, strict=True)),
            event=call.charge and not unbroken,
        )

    def release(self, limits: Sequence[Limit], *, subject: Subject, lease: str) -> None:
        for limit in limits:
            count = self._count_of(limit, subject)
            if isinstance(count, Slots):
                count.leases.pop(lease, None)

    def _count_of(self, limit: Limit, subject: Subject) -> Count:
        whose: dict[CountedPer, tuple[object, ...]] = {
            CountedPer.ACTION: (subject.tenant, subject.action),
            CountedPer.TENANT: (subject.tenant,),
            CountedPer.KEY: (subject.key,),
            CountedPer.CONNECTION: (),
        }
        cut = limit.window_us if limit.algorithm == "sliding_counter" else None
        name = (subject.connection, limit.name, limit.algorithm, cut, limit.counted_per, *whose[limit.counted_per])
        return self.counts.setdefault(name, _MADE[limit.algorithm]())


def _taken(rule: Rule, cost: int) -> int:
    return 1 if rule.limit.algorithm == "concurrency" else cost


def _wait(rule: Rule, count: Count, now: int, cost: int) -> int:
    """0 if the call passes, -1 if it never can, else the time to the first instant at which it does."""
    taken = _taken(rule, cost)
    if taken > rule.most:
        return -1

    def passes(at: int) -> bool:
        return count.used(rule, at) + taken <= rule.most

    if passes(now):
        return 0
    wait = count.earliest(rule, now, passes) - now
    # A running call may end at any time: only the latest time at which a slot is free is known.
    return min(wait, SECOND_US) if rule.limit.algorithm == "concurrency" else wait


def _foreseen(
    rules: Sequence[Rule],
    rules_then: Sequence[Rule],
    counts: Sequence[Count],
    waits: Sequence[int],
    now: int,
    changes_in: int,
    cost: int,
) -> list[int]:
    """The waits of a refused call when other rules hold from ``changes_in`` on.

    The longest wait of an enforced limit is the time to the first instant at which all of them let it pass.
    """

    def never(wait: int) -> float:
        return math.inf if wait < 0 else wait

    then = [max(changes_in, never(_wait(rule, c, now, cost))) for rule, c in zip(rules_then, counts, strict=True)]
    own = [never(w) if never(w) < changes_in else t for w, t in zip(waits, then, strict=True)]
    at_once = max((never(w) for w, rule in zip(waits, rules, strict=True) if not rule.limit.shadow), default=0)
    joint = at_once
    if at_once >= changes_in:
        joint = max((t for t, rule in zip(then, rules_then, strict=True) if not rule.limit.shadow), default=changes_in)
    refusing = [i for i, rule in enumerate(rules) if waits[i] and not rule.limit.shadow]
    if refusing:
        own[max(refusing, key=lambda i: own[i])] = joint
    data = [found if wait else 0 for wait, found in zip(waits, own, strict=True)]
    return [-1 if wait == math.inf else int(wait) for wait in data]


def _seen(rule: Rule, count: Count, wait: int, under_these: int, now: int) -> Seen:
    used = count.used(rule, now)
    if rule.limit.algorithm == "concurrency":
        reset = under_these
    elif used == 0:
        reset = count.empty_reset(rule, now)
    else:
        reset = count.earliest(rule, now, lambda at: count.used(rule, at) < used) - now
    return Seen(used=used, effective=rule.most, wait_us=wait, reset_us=reset)
