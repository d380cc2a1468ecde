"""The last quarter of an hour of one tenant's demand, with the sums that a page shows every second."""

from __future__ import annotations

from dataclasses import dataclass, field

from limiter.demand.points import Calls, Demand, Name
from limiter.demand.state import LATELY_S, NOW_S, RefusedCalls, refused

KEPT_S = LATELY_S + 60


@dataclass(slots=True)
class Recent:
    """``totals``: the calls of all actions and keys by second. ``refusals``: by limit, seconds with refusals only."""

    demand: Demand
    totals: dict[int, Calls] = field(default_factory=dict)
    refusals: dict[Name, dict[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, demand: Demand) -> Recent:
        made = cls(demand, demand.together())
        made._note_refusals(demand)
        return made

    def take(self, part: Demand) -> None:
        """Take in a newer look at some of it."""
        self.demand.cover(part)
        self._note_refusals(part)
        for second in {second for of in part.calls.values() for second in of}:
            found = [of[second] for of in self.demand.calls.values() if second in of]
            self.totals[second] = Calls(*map(sum, zip(*found, strict=True)))

    def cut(self, *, now: int) -> Recent:
        """The same without the part that has become too old."""
        return Recent.of(self.demand.between(now - KEPT_S, now + KEPT_S))

    def last_minute(self, now: int) -> Calls:
        """The calls of all actions in the minute until ``now``."""
        found = [self.totals[second] for second in range(now - NOW_S + 1, now + 1) if second in self.totals]
        return Calls(*map(sum, zip(*found, strict=True))) if found else Calls()

    def is_idle(self, now: int) -> bool:
        """Whether nothing was called for a quarter of an hour."""
        return not any(second > now - LATELY_S for second in self.totals)

    def refused(self, now: int) -> RefusedCalls:
        """The tenant's calls that were refused."""
        return refused(((second, calls.refused) for second, calls in self.totals.items()), now=now)

    def refused_by(self, name: Name, now: int) -> RefusedCalls:
        """Those of them that this limit refused, or would have refused were it no shadow limit."""
        return refused(self.refusals.get(name, {}).items(), now=now)

    def _note_refusals(self, part: Demand) -> None:
        for name, second, level in part.each_level():
            if level.refused:
                of = self.refusals.setdefault(name, {})
                of[second] = max(of.get(second, 0), level.refused)
