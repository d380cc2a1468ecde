"""Appointments written the obvious way: what the deciding script is compared with, for one limit.

Whole numbers, so everything is exact: instants in microseconds, units of a bucket times its window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from limiter.core.types import Limit


@dataclass(frozen=True)
class Appointment:
    name: str
    returned: bool
    cost: int
    due: int
    ends: int


@dataclass(frozen=True)
class Request:
    """A call. ``sought``: whose appointment it may take; ``client`` and ``itself``: who gets one."""

    at: int
    cost: int
    client: str
    itself: str
    sought: str
    patience: int | None


@dataclass(frozen=True)
class Verdict:
    allowed: bool
    waits: bool
    wait: int


class Count(Protocol):
    """What one limit counts."""

    def fits(self, call: Request, heeded: Sequence[Appointment]) -> bool:
        """Now, and with all that is taken up to each appointment when that is due."""

    def after(self, call: Request, heeded: Sequence[Appointment]) -> int:
        """When it fits behind all of these, each taken when it is due."""

    def charge(self, call: Request) -> None: ...


class Bucket:
    def __init__(self, limit: Limit) -> None:
        self.limit, self.debt, self.since = limit, 0, 0

    def level(self, at: int) -> int:
        return max(0, self.debt - max(0, at - self.since) * self.limit.quota)

    def fits(self, call: Request, heeded: Sequence[Appointment]) -> bool:
        taken, burst = self.level(call.at) + call.cost * self.limit.window_us, self.limit.burst * self.limit.window_us
        if taken > burst:
            return False
        for each in heeded:
            taken += each.cost * self.limit.window_us
            if taken - max(0, each.due - call.at) * self.limit.quota > burst:
                return False
        return True

    def after(self, call: Request, heeded: Sequence[Appointment]) -> int:
        level, at = self.level(call.at), call.at
        for each in heeded:
            due = max(at, each.due)
            level, at = max(0, level - (due - at) * self.limit.quota) + each.cost * self.limit.window_us, due
        over = level + (call.cost - self.limit.burst) * self.limit.window_us
        return at + max(0, -(-over // self.limit.quota))

    def charge(self, call: Request) -> None:
        self.debt, self.since = self.level(call.at) + call.cost * self.limit.window_us, call.at


class Window:
    """When each unit leaves: a window after it came, or after the end of the counter's slice in which it came."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.units: list[int] = []

    def leaves(self, at: int) -> int:
        if self.limit.algorithm == "sliding_log":
            return at + self.limit.window_us
        slice_us = -(-self.limit.window_us // 60)
        return (at // slice_us + 1) * slice_us + self.limit.window_us

    def room(self, units: Sequence[int], at: int) -> int:
        return self.limit.quota - sum(leaves > at for leaves in units)

    def fits(self, call: Request, heeded: Sequence[Appointment]) -> bool:
        units = self.units + [self.leaves(call.at)] * call.cost
        if self.room(units, call.at) < 0:
            return False
        for each in heeded:
            due = max(call.at, each.due)
            units = units + [self.leaves(due)] * each.cost
            if self.leaves(call.at) > due and self.room(units, due) < 0:
                return False
        return True

    def after(self, call: Request, heeded: Sequence[Appointment]) -> int:
        dues = [max(call.at, each.due) for each in heeded]
        units = self.units + [
            self.leaves(due) for each, due in zip(heeded, dues, strict=True) for _ in range(each.cost)
        ]
        last = max([call.at, *dues])
        return min(at for at in (last, *units) if at >= last and self.room(units, at) >= call.cost)

    def charge(self, call: Request) -> None:
        self.units = [leaves for leaves in self.units if leaves > call.at] + [self.leaves(call.at)] * call.cost


@dataclass
class Booking:
    """A limit and its appointments. ``kept``, ``broken``: calls that came for one and passed, or were refused."""

    limit: Limit
    open: list[Appointment] = field(default_factory=list)
    kept: int = 0
    broken: int = 0

    def __post_init__(self) -> None:
        self.count: Count = Bucket(self.limit) if self.limit.algorithm == "token_bucket" else Window(self.limit)

    def decide(self, call: Request) -> Verdict:
        self.open = [each for each in self.open if each.ends >= call.at]
        mine = next((a for a in self.open if (a.name, a.cost) == (call.sought, call.cost) and a.due <= call.at), None)
        others = [each for each in self.open if each is not mine]
        heeded = others if mine is None else self.before(call, mine, others)
        came = mine is not None and (call.sought == call.client or mine.returned)
        if self.count.fits(call, heeded):
            self.open = others
            self.count.charge(call)
            self.kept += came
            return Verdict(True, False, 0)
        wait = self.count.after(call, heeded) - call.at
        longest = max(call.patience or 0, self.limit.reserve_us if mine else 0)
        waits = call.patience is not None and wait <= longest
        if not waits:
            wait = self.count.after(call, others) - call.at
            self.broken += came
        self.open = others
        if sum(each.name[:8] == call.client[:8] for each in others) >= 100:
            return Verdict(False, waits, wait)
        self.open = [*others, self.made(call, wait, waits=waits, returned=waits and came)]
        self.open.sort(key=lambda each: each.due)
        return Verdict(False, waits, wait)

    def before(self, call: Request, mine: Appointment, others: list[Appointment]) -> list[Appointment]:
        """Those that have returned and wait: all of them, or the earlier ones if this call is one that waits."""
        waited = call.sought == call.itself
        return [each for each in others if each.returned and (each.due < mine.due or not waited)]

    def made(self, call: Request, wait: int, *, waits: bool, returned: bool) -> Appointment:
        asked = wait if waits else max(1_000_000, -(-wait // 1_000_000) * 1_000_000)
        due, ends = call.at + wait, call.at + asked + self.limit.reserve_us
        return Appointment(call.itself if waits else call.client, returned, call.cost, due, ends)
