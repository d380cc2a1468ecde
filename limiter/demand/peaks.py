"""What tenants used of their limits in the last day, for an edit that lowers a limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta

from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from limiter.demand import series
from limiter.policies.cuts import Peak
from limiter.policies.replayed import RecordedUnits, together
from limiter.record.models import UsageHour
from tenants.models import Tenant

_BACK = timedelta(hours=24)
_EVERY_S = 3_600
MAX_TENANTS = 100
"""Those with the most calls are looked at: a day of each takes up to a second of reading."""


def last_day(tenants: QuerySet[Tenant], limits: Collection[str]) -> list[Peak]:
    """The peaks of these limits, by tenant and action; of the tenants with the most calls if there are many."""
    found = series.of_tenants(_busiest(tenants), *_span(), every_s=_EVERY_S)
    return [
        Peak(tenant_id, action_id, limit, max(level.used for level in levels.values()))
        for tenant_id, demand in found.items()
        for (action_id, limit), levels in demand.limits.items()
        if limit in limits
    ]


def units_of_last_day(tenant_ids: Collection[str]) -> Iterator[tuple[str, dict[str, RecordedUnits]]]:
    """Of one tenant after the other, the units of allowed calls by action and second."""
    for tenant_id, found in series.units(sorted(tenant_ids), *_span()):
        by_action: defaultdict[str, list[tuple[list[int], Sequence[int]]]] = defaultdict(list)
        for action_id, seconds, units in found:
            by_action[action_id].append((seconds, units))
        yield tenant_id, {action_id: together(parts) for action_id, parts in by_action.items()}


def _span() -> tuple[int, int]:
    """Whole hours: the last day, and the rest of the first and the present one."""
    now = timezone.now()
    start = int((now - _BACK).timestamp()) // _EVERY_S * _EVERY_S
    return start, int(now.timestamp()) // _EVERY_S * _EVERY_S + _EVERY_S


def _busiest(tenants: QuerySet[Tenant]) -> list[str]:
    names = list(tenants.order_by().values_list("tenant_id", flat=True)[: MAX_TENANTS + 1])
    if len(names) <= MAX_TENANTS:
        return names
    hours = UsageHour.objects.filter(start__gte=timezone.now() - _BACK, tenant_id__in=tenants.values("tenant_id"))
    calls = hours.order_by().values("tenant_id").annotate(calls=Sum(F("allowed") + F("refused")))
    return list(calls.order_by("-calls").values_list("tenant_id", flat=True)[:MAX_TENANTS])
