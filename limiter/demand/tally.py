"""What a worker counts of one stack and key in one second. Each call adds to it, so it makes no objects."""

from __future__ import annotations

from limiter.core.algorithms import rules_of
from limiter.core.decision_ids import binding
from limiter.core.thresholds import reached
from limiter.core.types import CountedPer, Decision
from limiter.core.window import Stack
from limiter.demand.points import Calls, Level, Name


class Tally:
    """``key``: the prefix of the key that called."""

    __slots__ = (
        "_refused_by",
        "_states",
        "_used",
        "allowed",
        "held_back",
        "key",
        "refused",
        "refused_units",
        "shadow_refused",
        "stack",
        "units",
        "waited",
        "waits",
    )

    def __init__(self, stack: Stack, key: str) -> None:
        self.stack, self.key = stack, key
        self.allowed = self.refused = self.held_back = self.shadow_refused = self.waits = self.waited = 0
        self.units = self.refused_units = 0
        self._used = [0] * len(stack.limits)
        self._refused_by: dict[str, int] = {}
        self._states: Decision | None = None

    def add(self, decision: Decision) -> None:
        """Count a call that was decided for good."""
        refusing = False
        if not decision.degraded:  # a worker that decides alone knows its own share only
            used = self._used
            for place, state in enumerate(decision.states):
                if state[1] > used[place]:
                    used[place] = state[1]
                if state[3]:
                    refusing = True
            self._states = decision
        if decision.allowed:
            self.allowed += 1
            self.units += decision.cost
            if refusing:
                self.shadow_refused += 1
                self._refuse(binding(decision.shadow_violated).limit.name)
            return
        self.refused_units += decision.cost
        if decision.paused_us:
            self.held_back += 1
            return
        self.refused += 1
        if refusing:
            self._refuse(binding(decision.violated).limit.name)

    @property
    def name(self) -> Name:
        return self.stack.subject.action, self.key

    def calls(self) -> Calls:
        return Calls(
            self.allowed,
            self.refused,
            self.held_back,
            self.shadow_refused,
            self.waits,
            self.waited,
            self.units,
            self.refused_units,
        )

    def levels(self) -> dict[Name, Level]:
        """The limits as these calls found them; without those counted per key, each of which has a count per key."""
        if self._states is None:
            return {}
        found = {}
        for place, (limit, _, effective, *_rest) in enumerate(self._states.states):
            per = limit.counted_per
            if per is CountedPer.KEY:
                continue
            name = self.stack.subject.action if per is CountedPer.ACTION else "", limit.name
            quota, refused = rules_of(limit.algorithm).capacity(limit), self._refused_by.get(limit.name, 0)
            found[name] = Level(self._used[place], effective, quota, refused)
        return found

    def is_near(self) -> bool:
        """Whether these calls found a limit at the lowest threshold of its alerts, or above."""
        if self._states is None:
            return False
        return any(
            limit.alert_at and reached(limit.alert_at[0], used=self._used[place], effective=effective)
            for place, (limit, _, effective, *_rest) in enumerate(self._states.states)
        )

    def _refuse(self, limit: str) -> None:
        self._refused_by[limit] = self._refused_by.get(limit, 0) + 1
