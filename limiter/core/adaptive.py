"""Limits that follow the upstream: from the newest latencies to one multiplier for all workers.

The rule: over the last ``sample_size`` latencies that are not too old, once there are ``min_samples`` of them, p95 at
or under the threshold gives ``max_multiplier``; above it m = max - ((p95 - threshold) / threshold) x sensitivity, kept
within [min_multiplier, max_multiplier]. p95 is numpy's linear interpolation.

With ``cut_on_pushback``, answers of 429 or 503 are samples too and cut: m is at most max x (1 - their share of the
samples), so a tenant whose every third call is turned away upstream is allowed two thirds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from limiter.core.types import PPM
from limiter.core.versioned import Form, build


@dataclass(frozen=True, slots=True)
class AdaptiveSettings:
    """How a policy adapts. Milliseconds and seconds as named; multipliers are factors of the limit."""

    latency_threshold_ms: int = 800
    sensitivity: float = 0.5
    min_multiplier: float = 0.2
    max_multiplier: float = 1.0
    sample_size: int = 100
    min_samples: int = 5
    sample_max_age_seconds: int = 120
    cut_on_pushback: bool = False
    per_action: bool = False

    @property
    def default_ppm(self) -> int:
        """The multiplier when nothing is cut, in millionths."""
        return round(self.max_multiplier * PPM)


def _settings(data: Mapping[str, Any]) -> AdaptiveSettings:
    return build(AdaptiveSettings, data, whole=False)


SETTINGS = Form("adaptive settings", {1: _settings}, lenient=True)
"""By which settings samples are to be assessed, for a worker that knows nothing else of the policy."""


@lru_cache(maxsize=1024)
def written(settings: AdaptiveSettings) -> str:
    """As the store keeps them beside samples."""
    return SETTINGS.dump(asdict(settings))


@dataclass(frozen=True, slots=True)
class Sample:
    """One response of the upstream: when (us since the epoch), how long it took (us), whether it turned calls away.

    ``latency_us`` None: it did nothing but turn the call away, and how fast it did so says nothing about its load.
    """

    at_us: int
    latency_us: int | None
    pushback: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """A multiplier and the figures behind it.

    ``p95_us``: 0 when there are too few samples. ``fresh_for_us``: when so many samples will have aged that this
    multiplier no longer holds and calls are not cut, counted from the instant of the computation.
    """

    multiplier_ppm: int
    p95_us: int
    samples: int
    pushback_ppm: int
    fresh_for_us: int


def parse(raw: Sequence[bytes]) -> list[Sample]:
    """The store's samples, oldest first; see ``record.lua``. Those that are not understood are left out."""
    try:
        return [_sample(item) for item in raw]
    except ValueError:
        found = map(SAMPLES.text_or_none, raw)
        return [sample for sample in found if sample is not None]


def _sample(item: bytes) -> Sample:
    """``<at us>:<latency us, or nothing>:<1 if pushed back>``; what stands behind that is ignored."""
    at, latency, pushed, *_ = item.split(b":", 3)
    return Sample(int(at), int(latency) if latency else None, pushed == b"1")


SAMPLES = Form("sample", {1: lambda text: _sample(text.encode())})


def multiplier(p95_ms: float, settings: AdaptiveSettings) -> float:
    """The rule for a p95 in milliseconds."""
    threshold = settings.latency_threshold_ms
    if p95_ms <= threshold:
        return settings.max_multiplier
    cut = settings.max_multiplier - (p95_ms - threshold) / threshold * settings.sensitivity
    return min(settings.max_multiplier, max(settings.min_multiplier, cut))


def assess(samples: Sequence[Sample], settings: AdaptiveSettings, *, now_us: int) -> Evidence:
    """Compute the multiplier that holds from ``now_us`` on."""
    max_age_us = settings.sample_max_age_seconds * 1_000_000
    fresh = [s for s in samples if s.at_us > now_us - max_age_us][-settings.sample_size :]
    if len(fresh) < settings.min_samples:
        return Evidence(settings.default_ppm, p95_us=0, samples=len(fresh), pushback_ppm=0, fresh_for_us=0)
    latencies = [s.latency_us for s in fresh if s.latency_us is not None]
    p95_us = float(np.percentile(latencies, 95)) if len(latencies) >= settings.min_samples else 0.0
    share = sum(s.pushback for s in fresh) / len(fresh)
    factor = multiplier(p95_us / 1000, settings)
    if settings.cut_on_pushback:
        factor = min(factor, max(settings.min_multiplier, settings.max_multiplier * (1 - share)))
    return Evidence(
        multiplier_ppm=round(factor * PPM),
        p95_us=round(p95_us),
        samples=len(fresh),
        pushback_ppm=round(share * PPM),
        fresh_for_us=fresh[-settings.min_samples].at_us + max_age_us - now_us,
    )


class StoredEvidence(NamedTuple):
    """The evidence that ``adapt.lua`` keeps for people to see, as it keeps it: see there."""

    ppm: int
    default_ppm: int
    p95_us: int
    samples: int
    threshold_us: int
    pushback_ppm: int
    at_us: int
    until_us: int

    def evidence(self) -> Evidence:
        return Evidence(self.ppm, self.p95_us, self.samples, self.pushback_ppm, self.until_us - self.at_us)


def _shown(text: str) -> StoredEvidence:
    """Eight numbers; what stands behind them is ignored."""
    return StoredEvidence(*map(int, text.split("|", 8)[:8]))


FORM = Form("evidence", {1: _shown})
"""Nothing may be added to the stored form as long as the first release runs: its scripts take the last number for the
end.
"""


def shown_or_none(raw: bytes | str | None) -> StoredEvidence | None:
    """The evidence, or None when there is none or it is not understood."""
    return FORM.text_or_none(raw)
