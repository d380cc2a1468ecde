"""How much to measure: the full run, and a quick one that shows the same tables with more noise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """Rounds and lengths. ``connections``: open at a time in the side-by-side scenarios."""

    name: str
    rounds: int
    seconds: float
    warm_seconds: float
    slow_seconds: float
    low_load_calls: int
    in_flight_batches: int
    counted_calls: int
    decisions_seconds: float
    weighed_tenants: int
    viewers_seconds: float
    overload_seconds: float
    log_entries: int = 100_000
    in_flight: int = 2_000
    connections: int = 64
    cold_tenants: int = 5_000


FULL = Effort(
    name="full",
    rounds=5,
    seconds=5.0,
    warm_seconds=2.0,
    slow_seconds=6.0,
    low_load_calls=4_000,
    in_flight_batches=3,
    counted_calls=5_000,
    decisions_seconds=2.0,
    weighed_tenants=2_000,
    viewers_seconds=45.0,
    overload_seconds=60.0,
)
QUICK = Effort(
    name="quick",
    rounds=3,
    seconds=1.0,
    warm_seconds=0.5,
    slow_seconds=2.0,
    low_load_calls=1_000,
    in_flight_batches=1,
    counted_calls=1_000,
    decisions_seconds=0.5,
    weighed_tenants=500,
    viewers_seconds=10.0,
    cold_tenants=1_000,
    overload_seconds=10.0,
)
