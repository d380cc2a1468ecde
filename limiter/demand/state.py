"""The state that refusals of the last minutes put a tenant or a limit in: entered at once, left slowly.

One rule for dashboard, wallboard, tab, the admin's first page and alerts. It looks at the record alone, so every page
shows the same, with or without viewers.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

NOW_S = 60
"""Refusing until no call was refused for so long: longer than the pauses between bursts against a limit a minute."""
LATELY_S = 900


class RefusalState(StrEnum):
    REFUSING = "refusing"
    LATELY = "lately"
    NONE = "none"


class RefusedCalls(NamedTuple):
    """Calls refused in the last minute and in the last quarter of an hour, and when the last one was (0: none)."""

    minute: int = 0
    quarter: int = 0
    last: int = 0

    @property
    def state(self) -> RefusalState:
        if self.minute:
            return RefusalState.REFUSING
        return RefusalState.LATELY if self.quarter else RefusalState.NONE

    def at_least(self, quarter: int, *, last: int) -> RefusedCalls:
        """With so many in the quarter of an hour, which another source counted; ``last``: of the newest of them."""
        return self if quarter <= self.quarter else self._replace(quarter=quarter, last=max(self.last, last))

    def plus(self, other: RefusedCalls) -> RefusedCalls:
        return RefusedCalls(self.minute + other.minute, self.quarter + other.quarter, max(self.last, other.last))


def refused(by_second: Iterable[tuple[int, int]], *, now: int) -> RefusedCalls:
    """Of the calls refused by second (of the epoch), those of the last minute and quarter of an hour."""
    minute = quarter = last = 0
    for second, calls in by_second:
        if calls and second > now - LATELY_S:
            quarter += calls
            last = max(last, second)
            if second > now - NOW_S:
                minute += calls
    return RefusedCalls(minute, quarter, last)
