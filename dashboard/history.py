"""A tenant's stored usage as the columns of a chart: a gap where nothing is stored, never a zero."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from dashboard import changes
from limiter.record.models import MultiplierChange, UsageHour, UsageMinute
from limiter.record.models.usage import Usage, span_start
from tenants.models import Tenant

RANGES: dict[str, tuple[type[Usage], timedelta, timedelta]] = {
    "1h": (UsageMinute, timedelta(minutes=1), timedelta(hours=1)),
    "24h": (UsageHour, timedelta(hours=1), timedelta(hours=24)),
    "7d": (UsageHour, timedelta(hours=1), timedelta(days=7)),
}


def chart(tenant_id: str, wanted: str) -> dict[str, Any]:
    """Calls allowed and refused per minute or hour over the range, and what changed the multiplier in it."""
    model, step, span = RANGES[wanted]
    now = timezone.now()
    first = span_start(now - span, step)
    manager: Any = model._default_manager
    rows = manager.filter(tenant_id=tenant_id, start__gte=first).order_by().values("start")
    found = {row["start"]: row for row in rows.annotate(allowed=Sum("allowed"), refused=Sum("refused"))}
    times = [first + step * number for number in range(span // step + 1)]
    return {
        "range": wanted,
        "times": [int(at.timestamp()) for at in times],
        "columns": {
            name: [found[at][name] if at in found else None for at in times] for name in ("allowed", "refused")
        },
        "notes": _notes(tenant_id, first),
    }


def _notes(tenant_id: str, first: datetime) -> list[dict[str, Any]]:
    tenants = Tenant.objects.filter(tenant_id=tenant_id).select_related("connection")
    rows = MultiplierChange.objects.filter(tenant_id=tenant_id, at__gte=first)[:40]
    return changes.of_multipliers(rows, tenants)
