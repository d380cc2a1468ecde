"""The latency histogram: buckets 19 % wide at any scale, and percentiles that are never too low."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.core import latency


@pytest.mark.parametrize(
    ("latency_us", "bucket"),
    [(0, 0), (1, 0), (1000, 0), (1001, 1), (2000, 4), (2001, 5), (800_000, 39), (80_000_000, 66), (10**12, 80)],
)
def test_a_latency_falls_into_the_bucket_whose_bound_is_next_above(latency_us: int, bucket: int) -> None:
    assert latency.bucket(latency_us) == bucket


@given(st.integers(1001, 2**20 * 1000))
def test_a_bucket_holds_what_is_at_most_its_bound_and_above_the_one_below(latency_us: int) -> None:
    index = latency.bucket(latency_us)
    assert latency.upper_ms(index - 1) < latency_us / 1000 * (1 + 1e-9)
    assert latency_us / 1000 <= latency.upper_ms(index) * (1 + 1e-9)


@given(st.lists(st.integers(1000, 10**8), min_size=1, max_size=200), st.sampled_from([50, 90, 95, 99, 100]))
def test_a_percentile_is_the_true_one_rounded_up_by_at_most_a_bucket(latencies: list[int], q: float) -> None:
    counts: dict[int, int] = {}
    for latency_us in latencies:
        counts[latency.bucket(latency_us)] = counts.get(latency.bucket(latency_us), 0) + 1
    true_ms = float(np.percentile(latencies, q, method="inverted_cdf")) / 1000
    read_ms = latency.percentile_ms(counts, q)
    assert read_ms is not None
    assert true_ms * (1 - 1e-9) <= read_ms <= true_ms * 2**0.25 * (1 + 1e-9)


def test_no_latency_has_no_percentile() -> None:
    assert latency.percentile_ms({}, 95) is None
    assert latency.percentile_ms({3: 0}, 95) is None
