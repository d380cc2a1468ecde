"""What the record of demand holds of one second: the calls of an action and key, and the state of a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

Name = tuple[str, str]
"""Action ID and key prefix, of calls; action ID ("" for all) and limit name, of a limit."""


class Calls(NamedTuple):
    """Calls decided in a span of time, by outcome.

    ``shadow_refused``: those of the allowed ones that a shadow limit would have refused. ``held_back``: not sent, since
    the upstream takes none. ``waits``: came in this span and were decided after they had waited; ``waited``: decided in
    it, having come earlier. ``units``: cost of the allowed calls; ``refused_units``: of those refused and held back.
    """

    allowed: int = 0
    refused: int = 0
    held_back: int = 0
    shadow_refused: int = 0
    waits: int = 0
    waited: int = 0
    units: int = 0
    refused_units: int = 0

    @property
    def came(self) -> int:
        """Calls that came in the span, whenever they were decided: what a replay offers."""
        return max(0, self.allowed + self.refused + self.held_back - self.waited) + self.waits

    def plus(self, other: Calls) -> Calls:
        return Calls(*[mine + its for mine, its in zip(self, other, strict=True)])

    def covering(self, other: Calls) -> Calls:
        """Of two counts of the same calls, each of which may lack some: the larger numbers."""
        return Calls(*map(max, self, other))


class Level(NamedTuple):
    """A limit as the calls of a span of time found it.

    ``used``: the most units in use after any of them. ``effective``: the largest limit in force; ``quota``: the same
    when nothing cuts it (units). ``refused``: calls of which it was the binding limit; of a shadow limit, calls that
    it would have refused.
    """

    used: int = 0
    effective: int = 0
    quota: int = 0
    refused: int = 0

    def plus(self, other: Level) -> Level:
        return self.covering(other)._replace(refused=self.refused + other.refused)

    def covering(self, other: Level) -> Level:
        return Level(*map(max, self, other))


@dataclass(slots=True)
class Demand:
    """A tenant's demand: name -> second (of the epoch) -> its calls, its state. Seconds without calls are absent."""

    calls: dict[Name, dict[int, Calls]] = field(default_factory=dict)
    limits: dict[Name, dict[int, Level]] = field(default_factory=dict)

    def add(self, other: Demand) -> None:
        """Take another part of the same demand in: other calls."""
        self._take(other, Calls.plus, Level.plus)

    def cover(self, other: Demand) -> None:
        """Take in another source of the same calls, each of which may lack some."""
        self._take(other, Calls.covering, Level.covering)

    def _take(
        self, other: Demand, join_calls: Callable[[Calls, Calls], Calls], join_levels: Callable[[Level, Level], Level]
    ) -> None:
        for name, second, calls in other.each_calls():
            mine = self.calls.setdefault(name, {})
            mine[second] = join_calls(mine[second], calls) if second in mine else calls
        for name, second, level in other.each_level():
            held = self.limits.setdefault(name, {})
            held[second] = join_levels(held[second], level) if second in held else level

    def between(self, start: int, end: int, *, action_id: str | None = None) -> Demand:
        """The demand from second ``start`` until before ``end``; of one action, its calls and its own limits."""

        def kept(name: Name) -> bool:
            return action_id is None or name[0] == action_id

        cut = Demand(
            {name: {s: each for s, each in of.items() if start <= s < end} for name, of in self.calls.items()},
            {name: {s: each for s, each in of.items() if start <= s < end} for name, of in self.limits.items()},
        )
        return Demand(
            {name: of for name, of in cut.calls.items() if of and kept(name)},
            {name: of for name, of in cut.limits.items() if of and kept(name)},
        )

    def every(self, step_s: int) -> Demand:
        """The same by spans of ``step_s`` seconds, each under its first second."""
        summed = Demand()
        for name, second, calls in self.each_calls():
            mine, at = summed.calls.setdefault(name, {}), second // step_s * step_s
            mine[at] = mine[at].plus(calls) if at in mine else calls
        for name, second, level in self.each_level():
            held, at = summed.limits.setdefault(name, {}), second // step_s * step_s
            held[at] = held[at].plus(level) if at in held else level
        return summed

    def line(self, name: Name, start: int, end: int, *, holds_s: int, step_s: int = 1) -> Iterator[tuple[int, Level]]:
        """A limit from ``start`` until before ``end``: as its last call found it, and unused if no call came for
        ``holds_s`` seconds, in which all units leave it. Times before its first call are left out.

        ``step_s``: the spans that the demand is by; ``start`` is the beginning of one.
        """
        points, reach = self.limits.get(name, {}), -(-holds_s // step_s) * step_s
        last = max((at for at in points if start - reach <= at < start), default=None)
        level = None if last is None else points[last]
        for at in range(start, end, step_s):
            if at in points:
                last, level = at, points[at]
            elif level is not None and last is not None and at - last >= holds_s + step_s - 1:
                last, level = None, level._replace(used=0, refused=0)
            if level is not None:
                yield at, level

    def together(self) -> dict[int, Calls]:
        """The calls of all actions and keys by second."""
        sums: dict[int, Calls] = {}
        for _, second, calls in self.each_calls():
            sums[second] = sums[second].plus(calls) if second in sums else calls
        return sums

    def each_calls(self) -> Iterator[tuple[Name, int, Calls]]:
        for name, of in self.calls.items():
            for second, calls in of.items():
                yield name, second, calls

    def each_level(self) -> Iterator[tuple[Name, int, Level]]:
        for name, of in self.limits.items():
            for second, level in of.items():
                yield name, second, level

    def __bool__(self) -> bool:
        return bool(self.calls or self.limits)
