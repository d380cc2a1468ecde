"""Appointments of a shared limit written the obvious way: every instant at which something changes is tried.

How much of the limit an account may use is not computed here: a look at the limit shows it before each call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from limiter.core import sharing
from limiter.core.types import MICROS, Limit, Share, ShareState
from tests.limiter.core.booking import Request, Verdict, Window


class Use(NamedTuple):
    """Units that are used at an instant."""

    at: int
    cost: int


class Held(NamedTuple):
    due: int
    account: str
    name: str
    cost: int
    ends: int
    returned: bool = False


class Count(Protocol):
    """The units of the limit, and whether a call has room among others that will be used."""

    def used(self, at: int) -> float: ...
    def has_room(self, now: int, uses: Sequence[Use], call: Use) -> bool: ...
    def changes(self, now: int, uses: Sequence[Use], cost: int) -> Iterator[int]: ...
    def charge(self, use: Use) -> None: ...


class BucketCount:
    def __init__(self, limit: Limit) -> None:
        self.limit, self.debt, self.since = limit, 0, 0

    def _level(self, at: int) -> int:
        return max(0, self.debt - (at - self.since) * self.limit.quota)

    def used(self, at: int) -> float:
        return self._level(at) / self.limit.window_us

    def _levels(self, now: int, uses: Sequence[Use]) -> Iterator[Use]:
        """How full it is after each."""
        level, since = self._level(now), now
        for use in sorted(uses):
            level = max(0, level - (use.at - since) * self.limit.quota) + use.cost * self.limit.window_us
            since = use.at
            yield Use(use.at, level)

    def has_room(self, now: int, uses: Sequence[Use], call: Use) -> bool:
        most = self.limit.burst * self.limit.window_us
        return all(level <= most for at, level in self._levels(now, [*uses, call]) if at >= call.at)

    def changes(self, now: int, uses: Sequence[Use], cost: int) -> Iterator[int]:
        for at, level in (Use(now, self._level(now)), *self._levels(now, uses)):
            over = level + (cost - self.limit.burst) * self.limit.window_us
            yield at + max(0, -(-over // self.limit.quota))

    def charge(self, use: Use) -> None:
        self.debt, self.since = self._level(use.at) + use.cost * self.limit.window_us, use.at


class WindowCount:
    def __init__(self, limit: Limit) -> None:
        self.most, self.leaves = limit.quota, Window(limit).leaves
        self.units: list[int] = []

    def used(self, at: int) -> float:
        return sum(leaves > at for leaves in self.units)

    def has_room(self, now: int, uses: Sequence[Use], call: Use) -> bool:
        every = [*uses, call]
        return all(
            self.used(at) + sum(use.cost for use in every if use.at <= at < self.leaves(use.at)) <= self.most
            for at, _ in every
            if call.at <= at < self.leaves(call.at)
        )

    def changes(self, now: int, uses: Sequence[Use], cost: int) -> Iterator[int]:
        yield from (leaves for leaves in self.units if leaves > now)
        yield from (self.leaves(use.at) for use in uses)

    def charge(self, use: Use) -> None:
        self.units = [leaves for leaves in self.units if leaves > use.at] + [self.leaves(use.at)] * use.cost


@dataclass
class Account:
    """What a tenant uses of the limit, counted in whole slices; a ceiling counts one slice more."""

    name: str
    length: int
    slices: int
    ceiling: int
    charged: list[Use] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, limit: Limit, share: Share) -> Account:
        return cls(name, *sharing.slices(limit, share), share.ceiling)

    def used(self, at: int, *, extra: int = 0) -> int:
        return sum(use.cost for use in self.charged if self._counts(use.at, at, extra))

    def _counts(self, at: int, then: int, extra: int) -> bool:
        return then // self.length < at // self.length + self.slices + extra

    def stays_within(self, most: float, uses: Sequence[Use], call: Use, *, extra: int = 0) -> bool:
        every = [*uses, call]
        return all(
            self.used(at, extra=extra)
            + sum(use.cost for use in every if use.at <= at and self._counts(use.at, at, extra))
            <= most
            for at, _ in every
            if call.at <= at and self._counts(call.at, at, extra)
        )

    def changes(self, uses: Sequence[Use]) -> Iterator[int]:
        for use in (*self.charged, *uses):
            for extra in (0, 1):
                yield (use.at // self.length + self.slices + extra) * self.length


@dataclass
class SharedBooking:
    """The limit and its appointments. ``kept``, ``broken``: calls that came for one, and passed or were refused."""

    limit: Limit
    open: list[Held] = field(default_factory=list)
    kept: int = 0
    broken: int = 0

    def __post_init__(self) -> None:
        bucket = self.limit.algorithm == "token_bucket"
        self.count: Count = BucketCount(self.limit) if bucket else WindowCount(self.limit)
        self.most = self.limit.burst if bucket else self.limit.quota

    def due(self, at: int, account: str | None = None) -> int:
        """Units that should have come and have not."""
        live = (each for each in self.open if each.due <= at <= each.ends)
        return sum(each.cost for each in live if account in (None, each.account))

    def decide(self, call: Request, account: Account, seen: ShareState, *, lent: bool) -> Verdict:
        """``wait`` is -1 where no time can be promised, since its share is less than the call.

        ``lent``: believed where that depends on a part of a unit, since a look rounds the owed units up.
        """
        self.open = [each for each in self.open if each.ends >= call.at]
        mine = next((a for a in self.open if (a.name, a.cost) == (call.sought, call.cost) and a.due <= call.at), None)
        if mine is not None:
            return self._returned(call, account, seen, mine)
        if self._passes(call, account, seen, lent=lent):
            return self._admit(call, account)
        return self._refuse(call, account, seen, self._earliest(call, account, seen.share), grace=0, came=False)

    def _returned(self, call: Request, account: Account, seen: ShareState, mine: Held) -> Verdict:
        """A promise holds whatever the share is now: the limit and the ceiling have to have room."""
        self.open.remove(mine)
        came, waited = call.sought == call.client or mine.returned, call.sought == call.itself
        ahead = [each for each in self.open if each.returned and (each.due < mine.due or not waited)]
        bound = account if account.name == mine.account else replace(account, ceiling=0)
        wait = self._earliest(call, bound, None, heeded=ahead)
        if wait == 0:
            self.kept += came
            return self._admit(call, account)
        verdict = self._refuse(call, account, seen, wait, grace=self.limit.reserve_us, came=came)
        self.broken += came and not verdict.waits
        return verdict

    def _admit(self, call: Request, account: Account) -> Verdict:
        use = Use(call.at, call.cost)
        self.count.charge(use)
        account.charged.append(use)
        return Verdict(True, False, 0)

    def _passes(self, call: Request, account: Account, seen: ShareState, *, lent: bool) -> bool:
        held, own, now = self._held(call.at), self._held(call.at, account.name), Use(call.at, call.cost)
        free = self.most - self.count.used(call.at) - self.due(call.at)
        rest = free - call.cost - seen.owed
        lent = rest >= 0 or (rest > -1 and lent)
        return (
            self.count.has_room(call.at, held, now)
            and (not account.ceiling or account.stays_within(account.ceiling, own, now, extra=1))
            and (lent or account.stays_within(seen.share, own, now))
        )

    def _held(self, now: int, account: str | None = None, of: Sequence[Held] | None = None) -> list[Use]:
        held = self.open if of is None else of
        return [Use(max(now, each.due), each.cost) for each in held if account in (None, each.account)]

    def _earliest(
        self,
        call: Request,
        account: Account,
        part: float | None,
        *,
        heeded: Sequence[Held] | None = None,
        whole: bool = False,
    ) -> int | None:
        """The wait until the limit, the share (None: whatever it is) and the ceiling have room with all these.

        ``whole``: after whole seconds, since the client comes then.
        """
        held, own = self._held(call.at, of=heeded), self._held(call.at, account.name, of=heeded)
        if heeded is not None:
            own = []
        times = {call.at, *account.changes(own), *self.count.changes(call.at, held, call.cost)}
        times |= {use.at for use in held}
        if whole:
            last = max(times) - call.at
            times = {call.at + seconds * MICROS for seconds in range(1, 2 + -(-last // MICROS))}
        for at in sorted(times):
            if at < call.at:
                continue
            then = Use(at, call.cost)
            if (
                self.count.has_room(call.at, held, then)
                and (part is None or account.stays_within(part, own, then))
                and (not account.ceiling or account.stays_within(account.ceiling, own, then, extra=1))
            ):
                return at - call.at
        return None

    def _refuse(
        self, call: Request, account: Account, seen: ShareState, wait: int | None, *, grace: int, came: bool
    ) -> Verdict:
        reach = max(20 * MICROS, account.length * account.slices)
        waits = call.patience is not None and wait is not None and wait <= max(call.patience, grace)
        if not waits or not grace:
            exact = self._earliest(call, account, seen.share)
            wait = exact if waits else self._earliest(call, account, seen.share, whole=True)
            if wait is None or exact is None or wait > reach:
                return Verdict(False, False, -1 if exact is None else exact)
        assert wait is not None
        name = call.itself if waits else call.client
        ends = call.at + wait + self.limit.reserve_us
        self.open.append(Held(call.at + wait, account.name, name, call.cost, ends, waits and came))
        self.open.sort(key=lambda each: each.due)
        return Verdict(False, waits, wait)
