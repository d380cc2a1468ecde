"""The upstream's p95 of a tenant's calls and the cuts that followed from it over time, from stored rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.spans import Span
from limiter.core import latency
from limiter.record.models import MultiplierChange, UsageHour, UsageMinute
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


def before(tenant_id: str, now: int, *, seconds: int, multiplier: float) -> dict[int, tuple[float | None, float]]:
    """p95 (ms; None: no usage stored) and multiplier of each second before ``now``, when that is ``multiplier``."""
    span = Span(now - seconds, now, 1)
    p95_ms, cut_to = p95_by_step(tenant_id, span), _multipliers(tenant_id, span, multiplier)
    return {second: (p95_ms.get(second), cut_to[second]) for second in span.times()}


def _multipliers(tenant_id: str, span: Span, multiplier: float) -> dict[int, float]:
    """The smallest of those of the tenant and its actions. One without a change was the same then as now."""
    first = datetime.fromtimestamp(span.start, UTC)
    of: defaultdict[str, list[MultiplierChange]] = defaultdict(list)
    for row in MultiplierChange.objects.filter(tenant_id=tenant_id, at__gte=first).order_by("at", "id"):
        of[row.action_id].append(row)
    still = multiplier if multiplier < min((rows[-1].after for rows in of.values()), default=1.0) else 1.0
    return {
        second: min([still, *(_then(rows, datetime.fromtimestamp(second, UTC)) for rows in of.values())])
        for second in span.times()
    }


def _then(rows: Sequence[MultiplierChange], at: datetime) -> float:
    return next((row.after for row in reversed(rows) if row.at <= at), rows[0].before)
