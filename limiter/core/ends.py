"""How the calls to a unit ended lately, and how long others run: what a step of a learned limit goes by. All pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

S = 1_000_000
KEPT_ENDS = 500
"""So many ends are kept, and none for longer than :func:`kept_us`."""
KEPT_AGES = 100
LATELY_US, _FEW_US = 3 * S, 8 * S  # the present; where fewer than _ENOUGH calls ended in it, the longer of them
_ENOUGH = 20
MIN_ENDS = 10  # to tell a quantile from
_SUSPICIOUS = 1.8  # times the normal median: a twentieth of slow calls does not move the median, load does
PUSHED_BACK = 0.05  # share of ends


class End(NamedTuple):
    """One call that ended. ``latency_us`` None: it was only turned away. ``in_flight``: itself and others, before."""

    at_us: int
    latency_us: int | None
    pushed_back: bool
    in_flight: int


class Seen(NamedTuple):
    """What a step goes by: ``ends`` oldest first; ``ages_us``: how long the oldest calls in flight have been so."""

    now_us: int
    in_flight: int
    ages_us: Sequence[int]
    ends: Sequence[End]


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """``threshold_us``: of p95. ``max_in_flight``: the whole limit. ``trial_every_us``: at first, then doubling.

    ``lease_us``: how long a call that nobody ends is taken to be in flight.
    """

    threshold_us: int = 800_000
    min_in_flight: int = 1
    max_in_flight: int = 100
    trial_every_us: int = 60 * S
    lease_us: int = 90 * S


def kept_us(settings: LearningSettings) -> int:
    """How long an end is of interest."""
    return max(60 * S, 10 * settings.threshold_us)


class Quantiles(NamedTuple):
    """Of some calls: how many, their median and p95, and the share of them that were turned away."""

    number: int
    median_us: float
    p95_us: float
    pushed_back: float

    def above(self, settings: LearningSettings) -> bool:
        return (self.number >= MIN_ENDS and self.p95_us > settings.threshold_us) or self.pushed_back > PUSHED_BACK

    def suspicious(self, normal_us: float) -> bool:
        """Whether load may be why: it makes most calls slow, not a few."""
        return self.median_us > _SUSPICIOUS * normal_us or self.pushed_back > PUSHED_BACK


class View(NamedTuple):
    """A step's view: the ends and calls in flight, their quantiles of late, and the settings."""

    seen: Seen
    lately: Quantiles
    settings: LearningSettings

    @property
    def now_us(self) -> int:
        return self.seen.now_us

    def started_since(self, at_us: int) -> list[End]:
        return [end for end in self.seen.ends if end.latency_us is not None and end.at_us - end.latency_us >= at_us]

    def in_flight_before(self) -> float:
        """Calls in flight in the mean of the second before the last; 0 if none ended in it."""
        found = [end.in_flight for end in self.seen.ends if -2 * S < end.at_us - self.now_us <= -S]
        return sum(found) / len(found) if found else 0.0

    def rate(self, over_us: float) -> float:
        """Calls a second that got a response; of a fast unit the ends that are kept reach back less far."""
        ends = self.seen.ends
        if len(ends) >= KEPT_ENDS:
            over_us = max(1, min(over_us, self.now_us - ends[0].at_us))
        ended = sum(1 for end in ends if not end.pushed_back and end.at_us > self.now_us - over_us)
        return ended * S / over_us


def _quantile(values: Sequence[float], share: float) -> float:
    """0 of nothing."""
    return float(np.quantile(values, share)) if values else 0.0


def quantiles(ends: Sequence[End], overdue_us: Sequence[int] = ()) -> Quantiles:
    latencies = [end.latency_us for end in ends if end.latency_us is not None] + list(overdue_us)
    pushed_back = sum(end.pushed_back for end in ends) / len(ends) if len(ends) >= MIN_ENDS else 0.0
    return Quantiles(len(latencies), _quantile(latencies, 0.5), _quantile(latencies, 0.95), pushed_back)


def lately_of(seen: Seen, settings: LearningSettings) -> Quantiles:
    """A call in flight that is older than the threshold counts with its age: a dead unit shows before a timeout."""
    ends = [end for end in seen.ends if end.at_us > seen.now_us - LATELY_US]
    if len(ends) < _ENOUGH:
        ends = [end for end in seen.ends if end.at_us > seen.now_us - _FEW_US][-_ENOUGH:]
    return quantiles(ends, [age for age in seen.ages_us if age > settings.threshold_us])


def median_before(ends: Sequence[End], at_us: int) -> float:
    """Of the last calls that started before."""
    started = sorted((end.at_us - end.latency_us, end.latency_us) for end in ends if end.latency_us is not None)
    return _quantile([latency for start, latency in started if start < at_us][-MIN_ENDS:], 0.5)
