"""The multiplier: the rule on the newest samples, computed as plainly as numpy can, and how long it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.core import adaptive
from limiter.core.adaptive import AdaptiveSettings, Evidence, Sample, assess
from tests.limiter.core.given import T0, S

SEED = AdaptiveSettings()


def samples(*latencies_ms: float, every_us: int = 1000, pushed: int = 0) -> list[Sample]:
    """Responses one after the other, the last at T0; the first ``pushed`` of them were refusals."""
    count = len(latencies_ms)
    return [
        Sample(T0 - (count - 1 - at) * every_us, round(latency * 1000), pushback=at < pushed)
        for at, latency in enumerate(latencies_ms)
    ]


def plainly(latencies_us: Sequence[int], rule: AdaptiveSettings) -> float:
    """The rule as it is written down."""
    p95 = np.percentile(np.array(latencies_us) / 1000, 95)
    if p95 <= rule.latency_threshold_ms:
        return rule.max_multiplier
    m = rule.max_multiplier - ((p95 - rule.latency_threshold_ms) / rule.latency_threshold_ms) * rule.sensitivity
    return float(np.clip(m, rule.min_multiplier, rule.max_multiplier))


@pytest.mark.parametrize(
    ("p95_ms", "multiplier"),
    [(0, 1.0), (799.9, 1.0), (800, 1.0), (800.1, 0.9999375), (1000, 0.875), (1600, 0.5), (2080, 0.2), (90_000, 0.2)],
)
def test_the_seed_s_rule(p95_ms: float, multiplier: float) -> None:
    assert adaptive.multiplier(p95_ms, SEED) == pytest.approx(multiplier, abs=1e-12)


def test_the_evidence_of_a_table_of_latencies() -> None:
    # Nine answers: the 95th percentile lies six tenths of the way from the eighth to the ninth.
    evidence = assess(samples(100, 200, 300, 400, 500, 600, 700, 900, 1400), SEED, now_us=T0)
    assert (evidence.p95_us, evidence.samples) == (1_200_000, 9)
    assert evidence.multiplier_ppm == 750_000


@given(
    latencies_us=st.lists(st.integers(0, 5_000_000), min_size=5, max_size=150),
    rule=st.builds(
        AdaptiveSettings,
        latency_threshold_ms=st.integers(1, 5000),
        sensitivity=st.floats(0.01, 3),
        min_multiplier=st.floats(0.01, 0.9),
        max_multiplier=st.floats(0.9, 2),
        sample_size=st.integers(5, 120),
    ),
)
@settings(derandomize=True, deadline=None, database=None, max_examples=300)
def test_the_multiplier_is_what_numpy_computes_from_the_same_samples(
    latencies_us: list[int], rule: AdaptiveSettings
) -> None:
    taken = samples(*(us / 1000 for us in latencies_us))
    expected = plainly(latencies_us[-rule.sample_size :], rule)
    evidence = assess(taken, rule, now_us=T0)
    assert evidence.multiplier_ppm == pytest.approx(expected * 1_000_000, abs=1)
    assert evidence.samples == min(len(latencies_us), rule.sample_size)


@pytest.mark.parametrize(("count", "multiplier_ppm"), [(0, 1_000_000), (4, 1_000_000), (5, 200_000)])
def test_too_few_samples_cut_nothing(count: int, multiplier_ppm: int) -> None:
    evidence = assess(samples(*[9000] * count), SEED, now_us=T0)
    assert (evidence.multiplier_ppm, evidence.samples) == (multiplier_ppm, count)


def test_only_the_newest_samples_count() -> None:
    assert assess(samples(*[9000] * 100, *[100] * 100), SEED, now_us=T0).multiplier_ppm == 1_000_000
    assert assess(samples(*[100] * 100, *[9000] * 100), SEED, now_us=T0).multiplier_ppm == 200_000


def test_a_sample_counts_until_exactly_its_age() -> None:
    slow = samples(*[9000] * 5, every_us=0)
    assert assess(slow, SEED, now_us=T0 + 120 * S - 1).samples == 5
    assert assess(slow, SEED, now_us=T0 + 120 * S) == Evidence(
        1_000_000, p95_us=0, samples=0, pushback_ppm=0, fresh_for_us=0
    )


@given(
    ages_us=st.lists(st.integers(0, 150 * S), min_size=5, max_size=40),
    min_samples=st.integers(1, 20),
)
@settings(derandomize=True, deadline=None, database=None)
def test_a_multiplier_holds_until_too_few_of_its_samples_are_left(ages_us: list[int], min_samples: int) -> None:
    rule = replace(SEED, min_samples=min_samples)
    taken = [Sample(T0 - age, 9_000_000) for age in sorted(ages_us, reverse=True)]
    evidence = assess(taken, rule, now_us=T0)
    if evidence.samples < min_samples:
        assert evidence.multiplier_ppm == 1_000_000
        return
    assert evidence.multiplier_ppm == 200_000
    assert assess(taken, rule, now_us=T0 + evidence.fresh_for_us - 1).multiplier_ppm == 200_000
    assert assess(taken, rule, now_us=T0 + evidence.fresh_for_us).multiplier_ppm == 1_000_000


@pytest.mark.parametrize(
    ("pushed", "latency_ms", "cuts", "multiplier_ppm"),
    [
        (0, 100, True, 1_000_000),
        (3, 100, True, 700_000),
        (3, 100, False, 1_000_000),
        (9, 100, True, 200_000),
        (3, 1000, True, 700_000),
        (1, 1600, True, 500_000),
    ],
    ids=["none", "their share", "not asked for", "no lower than the least", "the deeper cut", "latency is the deeper"],
)
def test_refusals_of_the_upstream_cut_by_their_share(
    pushed: int, latency_ms: int, cuts: bool, multiplier_ppm: int
) -> None:
    evidence = assess(samples(*[latency_ms] * 10, pushed=pushed), replace(SEED, cut_on_pushback=cuts), now_us=T0)
    assert (evidence.multiplier_ppm, evidence.pushback_ppm) == (multiplier_ppm, pushed * 100_000)


def test_samples_are_read_as_the_store_keeps_them() -> None:
    assert adaptive.parse([b"5:1200:0", b"6:900:1"]) == [Sample(5, 1200), Sample(6, 900, pushback=True)]


def test_samples_of_another_release_are_read_as_far_as_they_are_understood() -> None:
    foreign = [b"5:1200:0:more", b"soon", b"=2=6:900:1", b"7", b"\xff:1:0", b"8::1"]
    assert adaptive.parse(foreign) == [Sample(5, 1200), Sample(8, None, pushback=True)]


# How it reacts: the figures of docs/adaptive.md ---------------------------------------------------------------------


def course(latencies_ms: Sequence[float]) -> list[float]:
    """The multiplier after each response, when it is computed after every one."""
    taken = samples(*latencies_ms, every_us=10_000)
    return [
        assess(taken[max(0, end - 100) : end], SEED, now_us=taken[end - 1].at_us).multiplier_ppm / 1_000_000
        for end in range(1, len(taken) + 1)
    ]


def changes(latencies_ms: Sequence[float], *, start: int) -> list[tuple[int, float]]:
    """When the multiplier changes, in answers after the first ``start``, and to what."""
    held = course(latencies_ms)
    return [(at - start, now) for at, (before, now) in enumerate(pairwise(held), 2) if now != before]


FAST, OUTLIER, SLOW = 300, 10_000, 1600


def test_one_outlier_in_a_hundred_changes_nothing() -> None:
    assert changes([FAST] * 100 + [OUTLIER] + [FAST] * 120, start=100) == []


def test_five_outliers_in_a_hundred_change_nothing_and_the_sixth_does() -> None:
    assert changes([FAST] * 100 + [OUTLIER] * 5 + [FAST] * 120, start=100) == []
    assert changes([FAST] * 100 + [OUTLIER] * 6 + [FAST] * 120, start=100) == [(6, 0.2), (6 + 95, 1.0)]


@pytest.mark.parametrize(("count", "multiplier"), [(5, 0.2), (17, 0.2), (18, 0.403125), (19, 0.70625), (20, 1.0)])
def test_one_outlier_weighs_more_among_few(count: int, multiplier: float) -> None:
    assert course([FAST] * (count - 1) + [OUTLIER])[-1] == multiplier


def test_from_twenty_one_samples_on_the_slowest_response_does_not_count() -> None:
    assert course([FAST] * 20 + [3_600_000])[-1] == 1.0
    assert course([FAST] * 19 + [3_600_000])[-1] == 0.2


def test_a_step_is_followed_after_six_responses_and_left_after_ninety_five() -> None:
    assert changes([FAST] * 100 + [SLOW] * 100 + [FAST] * 120, start=100) == [(6, 0.5), (100 + 95, 1.0)]


def test_a_ramp_is_followed_five_responses_behind() -> None:
    ramp = [FAST + 10 * number for number in range(250)]  # p95 is what the latency was 4.95 answers ago
    held = course([FAST] * 100 + ramp)[100:]
    assert held[:55] == [1.0] * 55
    seen = {ramp[number]: held[number] for number in (55, 75, 135, 180, 183, 249)}
    assert seen == pytest.approx(
        {850: 0.9996875, 1050: 0.8746875, 1650: 0.4996875, 2100: 0.2184375, 2130: 0.2, 2790: 0.2}, abs=1e-6
    )
    assert all(later <= earlier for earlier, later in pairwise(held))
