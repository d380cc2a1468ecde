"""Token bucket: ``burst`` units at once, refilled at ``quota`` units per window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from limiter.core.amounts import duration, gettext, number, units
from limiter.core.held import Holding, bucket_full_in_us
from limiter.core.rules import Line, Rules
from limiter.core.types import MAX_BURST_SECONDS, MICROS, Limit


class TokenBucket(Rules):
    letter = "b"
    place = 3
    label = "token bucket: a rate with a burst"
    fields = ("window_seconds", "burst")
    reserves = True
    is_window = False
    forecast_compares = True
    can_be_idle = False

    def wrong(self, line: Line) -> Iterator[tuple[str, str]]:
        if line.window_seconds is None:
            yield "window_seconds", gettext("Give the window in seconds.")
        if line.burst is None:
            yield "burst", gettext("Say how many units may come at once.")
        elif line.window_seconds and line.burst * line.window_seconds > MAX_BURST_SECONDS:
            said = gettext("Burst times window must not exceed {most}; shorten the window.")
            yield "burst", said.format(most=number(MAX_BURST_SECONDS))

    def capacity_of(self, line: Line) -> int:
        return line.burst or 0

    def capacity(self, limit: Limit) -> int:
        return limit.burst or limit.quota

    def header_parameters(self, limit: Limit, refill: int, capacity: int) -> str:
        """Its window is the time in which an empty bucket fills, in whole seconds, rounded up."""
        fills_us = -(-capacity * limit.window_us // refill)
        return f"w={max(1, -(-fills_us // MICROS))}"

    def local_window_us(self, limit: Limit) -> int:
        """Counted as its burst per the time that refills it, which never admits more than the bucket."""
        return -(-limit.burst * limit.window_us // limit.quota)

    def shared_over_us(self, limit: Limit) -> int:
        """While tenants contend the bucket is empty, and a unit is out for the time that fills it."""
        return self.local_window_us(limit)

    def share_slice_us(self, limit: Limit, over_us: int) -> int:
        """Long enough for two units to come: a reserved one has to be there before it is asked for."""
        return max(super().share_slice_us(limit, over_us), min(over_us, 2 * over_us // limit.burst))

    def read_held(self, limit: Limit, reply: Sequence[int]) -> Holding:
        return Holding(reply[0], reply[1] / limit.window_us)

    def full_in_us(self, limit: Limit, held: Holding, *, effective: int, earlier: Holding | None) -> int | None:
        return bucket_full_in_us(held, effective=effective, earlier=earlier)

    def most_in(self, line: Line, window_seconds: int) -> int:
        return (line.burst or 0) + (line.quota or 0) * window_seconds // (line.window_seconds or 1)

    def sentence(self, line: Line, shared_by: str) -> str:
        return gettext("at most {units} at once, refilled by {quota} per {duration}, {shared_by}").format(
            units=units(line.burst),
            quota=number(line.quota),
            duration=duration(line.window_seconds),
            shared_by=shared_by,
        )

    def brief(self, line: Line) -> str:
        return gettext("{rate}, {burst} at once").format(rate=super().brief(line), burst=number(line.burst))


RULES = TokenBucket()
