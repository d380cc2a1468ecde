"""Calls that were held back because the upstream would have turned them away."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Sum

from limiter.record.models import ThrottleEvent
from limiter.record.models.event import UPSTREAM
from tenants.models import Tenant


def held_back(connection_id: int, *, since: datetime) -> int:
    """How many calls over this connection were, as far as the record has them; it is seconds behind."""
    tenants = Tenant.objects.filter(connection_id=connection_id).values("tenant_id")
    events = ThrottleEvent.objects.filter(limit_name=UPSTREAM, tenant_id__in=tenants, at__gte=since)
    return events.aggregate(calls=Sum("count"))["calls"] or 0
