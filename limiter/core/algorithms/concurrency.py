"""Concurrency: calls in flight, each holding a slot until it ends or its lease does."""

from __future__ import annotations

from collections.abc import Iterator

from limiter.core.amounts import calls, gettext, gettext_noop, number, with_number
from limiter.core.held import Holding
from limiter.core.rules import Line, Rules
from limiter.core.types import MICROS, Limit

_LOOKS = 4
"""Slices of a second in which the demand for slots is looked at."""


class Concurrency(Rules):
    letter = "c"
    place = 4
    label = "concurrency: calls in flight"
    fields = ("lease_seconds",)
    holds_slots = True
    is_window = False
    forecasts = False
    can_be_idle = False
    no_reset = gettext_noop(
        "Slots come back when the calls that hold them end; a reset would let more run at once than the limit."
    )

    def wrong(self, line: Line) -> Iterator[tuple[str, str]]:
        if line.window_seconds is not None:
            yield "window_seconds", gettext("Concurrency counts calls in flight and has no window; leave it empty.")
        if line.burst is not None:
            yield "burst", gettext("Only a token bucket has a burst; leave it empty.")

    def shared_over_us(self, limit: Limit) -> int:
        """So long a slot that an account had or was refused is kept for it (``look_at_slots.lua``)."""
        return _LOOKS * MICROS

    def share_slice_us(self, limit: Limit, over_us: int) -> int:
        return over_us // _LOOKS

    def header_parameters(self, limit: Limit, refill: int, capacity: int) -> str:
        return 'qu="concurrent-requests"'

    def full_in_us(self, limit: Limit, held: Holding, *, effective: int, earlier: Holding | None) -> int | None:
        """How long calls run, and so how many will at once (Little's law), is for the upstream to say."""
        return None

    def sentence(self, line: Line, shared_by: str) -> str:
        # A call holds one slot, whatever it costs.
        said = gettext("at most {calls} in flight at once {shared_by}; a slot frees itself after {lease}")
        return said.format(calls=calls(line.quota), shared_by=shared_by, lease=with_number(line.lease_seconds))

    def brief(self, line: Line) -> str:
        return gettext("{quota} in flight").format(quota=number(line.quota))


RULES = Concurrency()
