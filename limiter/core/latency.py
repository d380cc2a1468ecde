"""Latencies as a histogram whose buckets grow by a quarter power of two: each is 19 % wide, at any scale.

One minute of one action touches few buckets, so they are counted by name and the empty ones cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_STEPS = 4
_TOP = 80
"""The last bucket: 2^20 ms, above any deadline."""


def bucket(latency_us: int) -> int:
    """The bucket of a latency: bucket ``i`` holds those of at most :func:`upper_ms` ``(i)`` milliseconds."""
    if latency_us <= 1000:
        return 0
    return min(_TOP, math.ceil(math.log2(latency_us / 1000) * _STEPS - 1e-9))


def upper_ms(index: int) -> float:
    """The upper bound of a bucket, in milliseconds."""
    return float(2 ** (index / _STEPS))


def percentile_ms(counts: Mapping[int, int], q: float) -> float | None:
    """The ``q``-th percentile (0 … 100) of a histogram, as the bound of the bucket it falls into; None when empty."""
    total = sum(counts.values())
    if total == 0:
        return None
    rank, seen = q / 100 * total, 0
    for index in sorted(counts):
        seen += counts[index]
        if seen >= rank:
            return upper_ms(index)
    return upper_ms(max(counts))
