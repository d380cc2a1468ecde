"""What an algorithm is to everything outside the deciding script: one object for each, a module of its name.

The defaults are those of a window that counts units; an algorithm overrides those that differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from limiter.core.amounts import duration, gettext, number, units
from limiter.core.held import Holding, pace_of, window_full_in_us
from limiter.core.types import MAX_QUOTA, MICROS, Limit

SHARE_SLICES = 122
"""Divisions in the time for which a unit of a shared limit counts; less than 255."""


class Line(Protocol):
    """A limit as it is edited: any number may still be missing."""

    @property
    def quota(self) -> int | None: ...
    @property
    def window_seconds(self) -> int | None: ...
    @property
    def burst(self) -> int | None: ...
    @property
    def lease_seconds(self) -> int | None: ...


class Rules:
    """A window of ``window_seconds`` in which at most ``quota`` units are admitted."""

    letter: str
    """Its name in the scripts and in keys: stored, never changed."""
    place: int
    """Where it is among those that people are offered."""
    label: str
    fields: tuple[str, ...] = ("window_seconds",)
    """Which of the fields that depend on the algorithm it uses."""
    max_quota = MAX_QUOTA
    quota_constraint = ""
    """The database's constraint on ``max_quota``, where it is below that of the column."""
    too_large = ""
    """Why a quota above ``max_quota`` is refused, and the remedy."""
    holds_slots = False
    """Running calls hold slots: the wait of a refusal is a hint, and a call takes one slot whatever it costs."""
    reserves = False
    """It can hold the unit of a refused call until its client comes back."""
    pool_in_count = False
    """Who uses how much of a shared limit is kept in the hash of its count, so that one command reads both."""
    is_window = True
    """Its count is what the calls of one past window cost, so a report can count it again."""
    forecasts = True
    forecast_compares = False
    """A forecast needs an earlier reading beside the present one."""
    no_reset = ""
    """Why its counter cannot be reset; "" when it can."""
    can_be_idle = True
    """Another limit's window can make it unreachable."""

    @property
    def has_window(self) -> bool:
        return "window_seconds" in self.fields

    def wrong(self, line: Line) -> Iterator[tuple[str, str]]:
        """Field and message of each number that does not fit the algorithm. Ranges of their own are the fields'."""
        if line.window_seconds is None:
            yield "window_seconds", gettext("Give the window in seconds.")
        if line.burst is not None:
            yield "burst", gettext("Only a token bucket has a burst; leave it empty.")
        if line.quota is not None and line.quota > self.max_quota:
            yield "quota", gettext(self.too_large)

    def capacity_of(self, line: Line) -> int:
        """The same of a limit as it is edited."""
        return line.quota or 0

    def capacity(self, limit: Limit) -> int:
        """Units (or calls) that an unused limit admits at once."""
        return limit.quota

    def key_part(self, limit: Limit) -> str:
        """How its counts' keys name it. Most carry their count over when the window is edited."""
        return self.letter

    def header_parameters(self, limit: Limit, refill: int, capacity: int) -> str:
        """What a ``RateLimit-Policy`` item says beside its quota."""
        return f"w={limit.window_us // MICROS}"

    def local_window_us(self, limit: Limit) -> int:
        """How long a unit counts against a worker's own share while the store is unavailable."""
        return limit.window_us

    def kept_us(self, limit: Limit) -> int:
        """How long a unit is counted, at most."""
        return limit.window_us

    def shared_over_us(self, limit: Limit) -> int:
        """For how long a unit of a shared limit counts as its tenant's."""
        return self.kept_us(limit)

    def share_slice_us(self, limit: Limit, over_us: int) -> int:
        """How often shares are divided anew. A unit that is leaving is reserved for so long before it has left."""
        return -(-over_us // SHARE_SLICES)

    def read_held(self, limit: Limit, reply: Sequence[int]) -> Holding:
        """The response of ``held.lua``."""
        at_us, used, came, over_us, of_last, silent_us, *pairs = reply
        leaves = tuple(zip(pairs[::2], pairs[1::2], strict=True))
        return Holding(at_us, used, pace_of(came, over_us, of_last=of_last, silent_us=silent_us), leaves)

    def full_in_us(self, limit: Limit, held: Holding, *, effective: int, earlier: Holding | None) -> int | None:
        """See :func:`limiter.core.forecast.full_in_us`."""
        if held.used >= effective:
            return 0
        if held.pace is None:
            return None
        return window_full_in_us(held, effective=effective, pace=held.pace / MICROS, kept_us=self.kept_us(limit))

    def most_in(self, line: Line, window_seconds: int) -> int:
        """The most units it admits in any window of the given length."""
        return (line.quota or 0) * -(-window_seconds // (line.window_seconds or 1))

    def sentence(self, line: Line, shared_by: str) -> str:
        said = gettext("at most {units} in any {duration} {shared_by}")
        return said.format(units=units(line.quota), duration=duration(line.window_seconds), shared_by=shared_by)

    def brief(self, line: Line) -> str:
        return gettext("{quota} per {duration}").format(
            quota=number(line.quota), duration=duration(line.window_seconds)
        )
