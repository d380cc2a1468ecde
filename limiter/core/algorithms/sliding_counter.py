"""Sliding counter: units by sub-window, for limits whose log would be too long."""

from __future__ import annotations

from limiter.core.amounts import MISSING, gettext, number, with_number
from limiter.core.rules import Line, Rules
from limiter.core.types import COUNTER_SLICES, MICROS, Limit


class SlidingCounter(Rules):
    letter = "s"
    place = 2
    label = "sliding counter: for very large limits"
    reserves = True
    pool_in_count = True

    def key_part(self, limit: Limit) -> str:
        """Its slices depend on the window, so the window is part of its key."""
        return f"{self.letter}{limit.window_us // MICROS}"

    def kept_us(self, limit: Limit) -> int:
        """Until the whole slice that a unit came in has left."""
        return limit.window_us + -(-limit.window_us // COUNTER_SLICES)

    def share_slice_us(self, limit: Limit, over_us: int) -> int:
        """A slice of the counter: its units leave together."""
        return -(-limit.window_us // COUNTER_SLICES)

    def sentence(self, line: Line, shared_by: str) -> str:
        said = gettext("{sentence}; may refuse up to {time} early")
        return said.format(sentence=super().sentence(line, shared_by), time=_early(line.window_seconds))


def _early(window_seconds: int | None) -> str:
    """How long a unit may be kept too long: one sub-window."""
    if not window_seconds:
        return MISSING
    if window_seconds % COUNTER_SLICES == 0:
        return with_number(window_seconds // COUNTER_SLICES)
    return gettext("{count} seconds").format(count=number(float(f"{window_seconds / COUNTER_SLICES:.2g}")))


RULES = SlidingCounter()
