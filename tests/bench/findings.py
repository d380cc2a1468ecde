"""What a measurement hands to the report: tables, and how far the goals are reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

TIMES = "\N{MULTIPLICATION SIGN}"
"""The unit of a ratio."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table with a title and a sentence on how it was measured. The first column is text, the others figures."""

    title: str
    how: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Reach:
    """One goal and its measurement. ``next_goal`` is stricter than ``goal``; ``most``: smaller is better."""

    what: str
    measured: float
    goal: float
    unit: str
    next_goal: float | None = None
    most: bool = False

    @property
    def verdict(self) -> str:
        if not self._reaches(self.goal):
            return "not reached"
        if self.next_goal is None:
            return "reached"
        return "reached, the next goal too" if self._reaches(self.next_goal) else "reached, the next goal not yet"

    def _reaches(self, goal: float) -> bool:
        return self.measured <= goal if self.most else self.measured >= goal


@dataclass(frozen=True, slots=True)
class Findings:
    """What one measurement found. ``notes``: what could not be measured here and why."""

    tables: Sequence[Table] = ()
    reaches: Sequence[Reach] = ()
    notes: Sequence[str] = field(default=())
