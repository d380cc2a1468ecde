"""A tenant's last quarter of an hour, as the tests of the live pages need it."""

from __future__ import annotations

from collections.abc import Mapping

from limiter.demand.points import Calls, Demand, Level, Name
from limiter.demand.recent import Recent

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
