"""The upstream's p95 of a tenant's calls over time, from stored usage."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.spans import Span
from limiter.core import latency
from limiter.record.models import UsageHour, UsageMinute
from limiter.record.models.usage import Usage, span_start

_MINUTES_S = 3 * 3_600
"""Longer spans are drawn by the hour: a week of minutes is too much to read for a line."""


def p95_by_step(tenant_id: str, span: Span) -> dict[int, float]:
    """The p95 (ms) of all the tenant's calls under the first second of each step that any usage is stored of."""
    model: type[Usage] = UsageMinute if span.end - span.start <= _MINUTES_S else UsageHour
    unit = timedelta(minutes=1) if model is UsageMinute else timedelta(hours=1)
    manager: Any = model._default_manager
    first, end = (datetime.fromtimestamp(second, UTC) for second in (span.start, span.end))
    rows = manager.filter(tenant_id=tenant_id, start__gte=span_start(first, unit), start__lt=end).order_by()
    step_s = max(span.step_s, int(unit.total_seconds()))
    of: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for at, histogram in rows.values_list("start", "latency_histogram"):
        for bucket, calls in histogram.items():
            of[int(at.timestamp()) // step_s * step_s][int(bucket)] += calls
    known = {at: latency.percentile_ms(histogram, 95) for at, histogram in of.items()}
    found = {time: known.get(time // step_s * step_s) for time in span.times()}
    return {time: round(p95_ms, 1) for time, p95_ms in found.items() if p95_ms is not None}
