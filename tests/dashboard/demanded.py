"""A tenant's last quarter of an hour and its readings, as the tests of the live pages need them."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.readings import RowReading, TenantReading
from limiter.core.types import MICROS, Limit, LimitState
from limiter.demand.points import Calls, Demand, Level, Name
from limiter.demand.recent import Recent

AT = 1_784_025_727
LOOK_UP: Name = ("lookupOrder", "minute")


def recent(
    now: float,
    *,
    calls: Mapping[int, Calls] | None = None,
    refused: Mapping[int, int] | None = None,
    limit: Name = LOOK_UP,
) -> Recent:
    """By seconds before ``now``: its calls, and how many of them ``limit`` refused."""
    refused = refused or {}
    by_second = dict(calls or {})
    for ago, number in refused.items():
        by_second[ago] = by_second.get(ago, Calls()).plus(Calls(refused=number, refused_units=number))
    second = int(now)
    return Recent.of(
        Demand(
            {("lookupOrder", ""): {second - ago: each for ago, each in by_second.items()}},
            {limit: {second - ago: Level(100, 100, 100, number) for ago, number in refused.items()}},
        )
    )


def watched_first_at(at: int) -> TenantReading:
    made = TenantReading("acme")
    watch(made, at)
    return made


def watch(seen: TenantReading, at: int) -> None:
    """Read a limit of which five units are in use."""
    limit = Limit("minute", "sliding_log", 100, window_us=60 * MICROS)
    state = LimitState(limit, used=5, effective=80, wait_us=0, reset_us=0)
    seen.at, seen.now_s = float(at), at
    seen.keep([RowReading("lookupOrder", state, 1.0)])
