"""How long the store takes to respond."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field


@dataclass(slots=True)
class RoundTrips:
    """Round-trip times to the store as a cumulative histogram, in seconds, as Prometheus counts."""

    bounds: tuple[float, ...] = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
    counts: list[int] = field(default_factory=lambda: [0] * 10)
    total_s: float = 0.0

    def observe(self, seconds: float) -> None:
        self.total_s += seconds
        self.counts[bisect_left(self.bounds, seconds)] += 1
