"""Appointments of a shared limit written the obvious way: every instant at which something changes is tried.

How much of the limit an account may use is not computed here: a look at the limit shows it before each call, and the
pool says what all shares add up to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from limiter.core import sharing
from limiter.core.types import MICROS, Limit, Share, ShareState
from tests.limiter.core.booking import Request, Verdict, Window


class Use(NamedTuple):
    """Units that are used at an instant."""

    at: int
    cost: int


class Held(NamedTuple):
    """``beyond``: it is in nobody's share."""

    due: int
    account: str
    name: str
    cost: int
    ends: int
    returned: bool = False
    beyond: bool = False


def _tenant(account: str) -> str:
    return account.split("|", 4)[-1]


class Seen(NamedTuple):
    """What a look finds: the account's share and the units kept for others; ``divided``: what shares of one unit and
    more and those below add up to. ``lent``: believed where that depends on a part of a unit, since a look rounds.
    """

    share: ShareState
    divided: tuple[float, float] | None
    lent: bool

    def beyond(self, most: int) -> float:
        """Units that are in no share; none until the pool has an account."""
        return most - self.divided[0] - self.divided[1] if self.divided else 0

    @property
    def takes_turns(self) -> bool:
        return self.share.share < 1 and self.divided is not None and not self.divided[0]


class Found(NamedTuple):
    wait: int
    beyond: bool


class Count(Protocol):
    """The units of the limit, and whether a call has room among others that will be used."""

    def used(self, at: int) -> float: ...
    def has_room(self, now: int, uses: Sequence[Use], call: Use, *, but: int = 0) -> bool: ...
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

    def has_room(self, now: int, uses: Sequence[Use], call: Use, *, but: int = 0) -> bool:
        """A later use has room, too, unless it has none whether the call comes or not: by then all of it has left."""
        most, every = (self.limit.burst - but) * self.limit.window_us, sorted([*uses, call])
        place = every.index(call)
        levels = [level for _, level in self._levels(now, every)][place:]
        alone = [level for _, level in self._levels(now, uses)][place:]
        later = zip(levels[1:], alone, strict=True)
        return levels[0] <= most and all(level <= most or level == without for level, without in later)

    def changes(self, now: int, uses: Sequence[Use], cost: int) -> Iterator[int]:
        for at, level in (Use(now, self._level(now)), *self._levels(now, uses)):
            for but in range(self.limit.burst):
                over = level + (cost + but - self.limit.burst) * self.limit.window_us
                yield at + max(0, -(-over // self.limit.quota))

    def charge(self, use: Use) -> None:
        self.debt, self.since = self._level(use.at) + use.cost * self.limit.window_us, use.at


class WindowCount:
    def __init__(self, limit: Limit) -> None:
        self.most, self.leaves = limit.quota, Window(limit).leaves
        self.units: list[int] = []

    def used(self, at: int) -> float:
        return sum(leaves > at for leaves in self.units)

    def has_room(self, now: int, uses: Sequence[Use], call: Use, *, but: int = 0) -> bool:
        every = [*uses, call]
        return all(
            self.used(at) + sum(use.cost for use in every if use.at <= at < self.leaves(use.at)) <= self.most - but
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

    def decide(self, call: Request, account: Account, seen: Seen) -> Verdict:
        """``wait`` is -1 where no time can be promised, since its share is less than the call."""
        self.open = [each for each in self.open if each.ends >= call.at]
        mine = next((a for a in self.open if self._is_for(call, a)), None)
        if mine is not None:
            return self._returned(call, account, seen, mine)
        if self._passes(call, account, seen):
            return self._admit(call, account)
        found = self._next(call, account, seen, 0)
        if found and found.wait == 0:  # room that is not lent
            found = self._next(call, account, seen, account.length)
        return self._refuse(call, account, seen, found, grace=0, came=False)

    def _is_for(self, call: Request, held: Held) -> bool:
        """A client comes less than a second before its unit is due."""
        asked = max(held.due - MICROS, min(held.due, held.ends - self.limit.reserve_us))
        return (held.name, held.cost) == (call.sought, call.cost) and asked <= call.at

    def _returned(self, call: Request, account: Account, seen: Seen, mine: Held) -> Verdict:
        """A promise holds whatever the share is now: the limit and the ceiling have to have room."""
        self.open.remove(mine)
        came, waited = call.sought == call.client or mine.returned, call.sought == call.itself
        before = mine.due if waited else max(mine.due, call.at)
        ahead = self._uses(call, [each for each in self.open if each.returned and each.due < before])
        ceiling = account.ceiling if account.name == mine.account else 0
        early = max(0, mine.due - call.at)

        def passes(then: Use) -> bool:
            return self.count.has_room(call.at, ahead, then) and (
                not ceiling or account.stays_within(ceiling, [], then, extra=1)
            )

        wait = next(at for at in self._times(call, account, early) if passes(Use(call.at + at, call.cost)))
        if wait == 0:
            self.kept += came
            return self._admit(call, account)
        found = Found(wait, beyond=False)
        grace = self.limit.reserve_us + early
        verdict = self._refuse(call, account, seen, found, grace=grace, came=came, early=early, promised=mine.account)
        self.broken += came and not verdict.waits
        return verdict

    def _admit(self, call: Request, account: Account) -> Verdict:
        use = Use(call.at, call.cost)
        self.count.charge(use)
        account.charged.append(use)
        return Verdict(True, False, 0)

    def _passes(self, call: Request, account: Account, seen: Seen) -> bool:
        now, share = Use(call.at, call.cost), seen.share
        free = self.most - self.count.used(call.at) - self.due(call.at)
        rest = free - call.cost - share.owed
        lent = rest >= 0 or (rest > -1 and seen.lent)
        within = account.used(call.at) + self.due(call.at, account.name) + call.cost <= share.share
        return (
            self.count.has_room(call.at, self._uses(call), now)
            and self._below_ceiling(call, account, now)
            and (lent or (within and account.stays_within(share.share, self._uses(call, self._within(account)), now)))
        )

    def _uses(self, call: Request, of: Sequence[Held] | None = None) -> list[Use]:
        return [Use(max(call.at, each.due), each.cost) for each in (self.open if of is None else of)]

    def _within(self, account: Account) -> list[Held]:
        return [each for each in self.open if each.account == account.name and not each.beyond]

    def _below_ceiling(self, call: Request, account: Account, then: Use) -> bool:
        """Units that were promised under other terms are charged under those of now, like the others."""
        own = self._uses(call, [each for each in self.open if _tenant(each.account) == _tenant(account.name)])
        return not account.ceiling or account.stays_within(account.ceiling, own, then, extra=1)

    def _times(self, call: Request, account: Account, first: int) -> list[int]:
        """Waits of which one is the earliest from a first one on, if there is one at all."""
        held, window = self._uses(call), account.length * account.slices
        times = {call.at + first, call.at + window, *account.changes(held)}
        times |= set(self.count.changes(call.at, held, call.cost))
        times |= {at for use in held for at in (use.at, use.at + window)}
        return sorted(at - call.at for at in times if at >= call.at + first)

    def _next(self, call: Request, account: Account, seen: Seen, first: int) -> Found | None:
        """The earliest time from a first one on, within the account's share or beyond all shares."""
        for wait in self._times(call, account, first):
            then = Use(call.at + wait, call.cost)
            if self.count.has_room(call.at, self._uses(call), then) and self._below_ceiling(call, account, then):
                if self._is_within(call, account, seen, then):
                    return Found(wait, beyond=False)
                if self._is_beyond(call, account, seen, then):
                    return Found(wait, beyond=True)
        return None

    def _is_within(self, call: Request, account: Account, seen: Seen, then: Use) -> bool:
        part = seen.share.share
        if seen.takes_turns:
            part = call.cost
        return part >= self.most or account.stays_within(part, self._uses(call, self._within(account)), then)

    def _is_beyond(self, call: Request, account: Account, seen: Seen, then: Use) -> bool:
        """Units that are in no share, each held once; in the time that counts beside those that are kept for others."""
        slack, window = seen.beyond(self.most), account.length * account.slices
        beyond = [*self._uses(call, [each for each in self.open if each.beyond]), then]
        return all(
            sum(use.cost for use in beyond if use.at <= at < use.at + window) <= slack
            for at, _ in beyond
            if then.at <= at < then.at + window
        ) and (then.at >= call.at + window or self.count.has_room(call.at, self._uses(call), then, but=seen.share.owed))

    def _refuse(
        self,
        call: Request,
        account: Account,
        seen: Seen,
        found: Found | None,
        *,
        grace: int,
        came: bool,
        early: int = 0,
        promised: str | None = None,
    ) -> Verdict:
        """``promised``: to the account of this name, and is now, unless it gets another time."""
        reach = max(20 * MICROS, account.length * account.slices)
        waits = call.patience is not None and found is not None and found.wait <= max(call.patience, grace)
        stays = call.patience is None and early > 0
        exact, anew = found, not (waits and grace) and not stays
        if anew:
            first = found.wait if found else 0
            exact = self._next(call, account, seen, first if waits else max(MICROS, first))
            if exact is None or exact.wait > reach:
                return Verdict(False, False, found.wait if found and not grace else -1)
        assert exact is not None
        name = call.itself if waits else call.client
        asked = exact.wait if waits else max(MICROS, exact.wait // MICROS * MICROS)
        due, ends = call.at + exact.wait, call.at + asked + self.limit.reserve_us
        holder = account.name if anew or promised is None else promised
        self.open.append(Held(due, holder, name, call.cost, ends, waits and came, exact.beyond))
        self.open.sort(key=lambda each: each.due)
        return Verdict(False, waits, asked)
