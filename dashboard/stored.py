"""What the database and the undrained streams say about refusals and changes of some tenants, for the live pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from dashboard import changes
from limiter.alerts import mutes
from limiter.alerts.models import Alert
from limiter.incidents.models import Incident
from limiter.record.models import ThrottleEvent, UsageMinute
from tenants.models import Tenant

LATELY_MINUTES = 15
_MOST = 200

Kind = tuple[str, str, str]
"""tenant ID, action ID, limit name"""


@dataclass(frozen=True, slots=True)
class StoredReadings:
    """``names``: tenant ID -> name. ``refused``: calls refused lately per kind. ``events``: newest first."""

    names: dict[str, str] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)
    refused: dict[Kind, int] = field(default_factory=dict)
    events: list[ThrottleEvent] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    """Those that last, newest first."""
    incidents: dict[Kind, Incident] = field(default_factory=dict)
    """Those that last of the alerts' limits."""
    muted: dict[Kind, datetime] = field(default_factory=dict)
    """The limits whose alerts are not sent now, each with the end."""
    returned: tuple[int, int] = (0, 0)
    """Calls of all these tenants that came back at the time of their Retry-After lately, and those then admitted."""


def by_tenant(known: StoredReadings) -> dict[str, StoredReadings]:
    """The refusals of each tenant apart, so that a limit need not look through those of all."""
    refused: defaultdict[str, dict[Kind, int]] = defaultdict(dict)
    for kind, calls in known.refused.items():
        refused[kind[0]][kind] = calls
    events: defaultdict[str, list[ThrottleEvent]] = defaultdict(list)
    for event in known.events:
        events[event.tenant_id].append(event)
    names = known.names.keys() | refused.keys() | events.keys()
    return {name: replace(known, refused=refused[name], events=events[name]) for name in names}


def read(tenant_ids: Collection[str]) -> StoredReadings:
    """Read it in a handful of queries, whatever the number of tenants. For a thread."""
    tenants = list(Tenant.objects.filter(tenant_id__in=tenant_ids).select_related("connection"))
    since = timezone.now() - timedelta(minutes=LATELY_MINUTES)
    lately = ThrottleEvent.objects.filter(tenant_id__in=tenant_ids, at__gte=since)
    kept = UsageMinute.objects.filter(tenant_id__in=tenant_ids, start__gte=since).order_by()
    came_back = kept.aggregate(returned=Sum("returned", default=0), kept=Sum("kept", default=0))
    alerts = list(Alert.objects.filter(ended_at=None, tenant_id__in=tenant_ids)[:_MOST])
    kinds = lately.order_by().values_list("tenant_id", "action_id", "limit_name").annotate(calls=Sum("count"))
    return StoredReadings(
        names={tenant.tenant_id: tenant.name for tenant in tenants},
        connections={tenant.tenant_id: tenant.connection.name for tenant in tenants},
        refused={(tenant, action, limit): calls for tenant, action, limit, calls in kinds},
        events=list(lately[:_MOST]),
        changes=changes.lately(tenants),
        alerts=alerts,
        incidents=_incidents({alert.tenant_id for alert in alerts}),
        muted=mutes.active({alert.tenant_id for alert in alerts}, now=timezone.now()) if alerts else {},
        returned=(came_back["returned"], came_back["kept"]),
    )


def _incidents(tenant_ids: Collection[str]) -> dict[Kind, Incident]:
    if not tenant_ids:
        return {}
    lasting = Incident.objects.filter(ended_at=None, tenant_id__in=tenant_ids)[:_MOST]
    return {(each.tenant_id, each.action_id, each.limit_name): each for each in lasting}


def feed(events: Collection[ThrottleEvent], *, names: dict[str, str]) -> list[dict[str, Any]]:
    """The refusals as lines, newest first: one for each kind and second."""
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for event in sorted(events, key=lambda event: event.at, reverse=True):
        second = int(event.at.timestamp())
        kind = (second, event.tenant_id, event.action_id, event.limit_name, event.shadow)
        line = lines.setdefault(
            kind,
            {
                "at_ms": second * 1000,
                "tenant": event.tenant_id,
                "tenant_name": names.get(event.tenant_id, event.tenant_id),
                "action": event.action_id,
                "limit": event.limit_name,
                "count": 0,
                "cut": event.effective_limit if event.effective_limit < event.quota else None,
                "decision_id": event.decision_id,
                "shadow": event.shadow,
            },
        )
        line["count"] += event.count
    return list(lines.values())
