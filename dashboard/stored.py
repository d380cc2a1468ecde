"""What the database and the undrained streams say about refusals and changes of some tenants, for the live pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from dashboard import changes
from limiter.alerts import mutes
from limiter.alerts.models import Alert
from limiter.incidents.models import Incident
from limiter.record.models import ThrottleEvent, UsageMinute
from tenants.models import Connection, Tenant

LATELY_MINUTES = 15
_MOST = 200
_MAX_UNITS = 200

Kind = tuple[str, str, str]
"""tenant ID, action ID, limit name"""


@dataclass(frozen=True, slots=True)
class StoredReadings:
    """``names``: tenant ID -> name. ``refused``: calls refused lately per kind, and ``shadow``: those that a shadow
    limit would have refused. ``events``: newest first.
    """

    names: dict[str, str] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)
    refused: dict[Kind, int] = field(default_factory=dict)
    shadow: dict[Kind, int] = field(default_factory=dict)
    events: list[ThrottleEvent] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    """Those that last, newest first."""
    incidents: dict[Kind, Incident] = field(default_factory=dict)
    """Those that last. ``action ID`` is "" of a limit that counts all actions together."""
    muted: dict[Kind, datetime] = field(default_factory=dict)
    """The limits whose alerts are not sent now, each with the end."""
    units: dict[int, str] = field(default_factory=dict)
    """All connections by name, where the page is about every tenant there is; and how many tenants these are."""
    tenants: int = 0
    returned: tuple[int, int] = (0, 0)
    """Calls of all these tenants that came back at the time of their Retry-After lately, and those then admitted."""


def by_tenant(known: StoredReadings) -> dict[str, StoredReadings]:
    """The refusals of each tenant apart, so that a limit need not look through those of all."""
    refused, shadow = _apart(known.refused), _apart(known.shadow)
    events: defaultdict[str, list[ThrottleEvent]] = defaultdict(list)
    for event in known.events:
        events[event.tenant_id].append(event)
    names = known.names.keys() | refused.keys() | shadow.keys() | events.keys()
    return {name: replace(known, refused=refused[name], shadow=shadow[name], events=events[name]) for name in names}


def _apart(kinds: dict[Kind, int]) -> defaultdict[str, dict[Kind, int]]:
    found: defaultdict[str, dict[Kind, int]] = defaultdict(dict)
    for kind, calls in kinds.items():
        found[kind[0]][kind] = calls
    return found


def read(tenant_ids: Collection[str]) -> StoredReadings:
    """Read it in a handful of queries, whatever the number of tenants. For a thread."""
    return _read(tenant_ids, of=tenant_ids)


def read_of_many(shown: Collection[str], *, of: Collection[str] | None) -> StoredReadings:
    """The same of a page that reads only some of its tenants: ``shown``. Refusals, alerts and changes are those of the
    tenants ``of``, or of every one there is. For a thread.
    """
    known = _read(shown, of=of)
    if of is not None:
        return replace(known, tenants=len(of))
    units = dict(Connection.objects.filter(enabled=True).order_by("name").values_list("pk", "name")[:_MAX_UNITS])
    return replace(known, units=units, tenants=_count_of_all(_quarter_minute()))


def _read(shown: Collection[str], *, of: Collection[str] | None) -> StoredReadings:
    since = timezone.now() - timedelta(minutes=LATELY_MINUTES)
    among: dict[str, Any] = {} if of is None else {"tenant_id__in": of}
    lately = ThrottleEvent.objects.filter(at__gte=since)
    alerts = list(Alert.objects.filter(ended_at=None, **among)[:_MOST])
    events = list(lately.filter(**among)[:_MOST])
    kinds = lately.filter(tenant_id__in=shown).order_by().values_list("tenant_id", "action_id", "limit_name", "shadow")
    counted = [(kind, shadow, calls) for *kind, shadow, calls in kinds.annotate(calls=Sum("count"))]
    named = {*shown, *(alert.tenant_id for alert in alerts), *(event.tenant_id for event in events)}
    tenants = list(Tenant.objects.filter(tenant_id__in=named).select_related("connection"))
    return StoredReadings(
        names={tenant.tenant_id: tenant.name for tenant in tenants},
        connections={tenant.tenant_id: tenant.connection.name for tenant in tenants},
        refused={(tenant, action, limit): calls for (tenant, action, limit), shadow, calls in counted if not shadow},
        shadow={(tenant, action, limit): calls for (tenant, action, limit), shadow, calls in counted if shadow},
        events=events,
        changes=changes.lately(tenants, of=of),
        alerts=alerts,
        incidents=_incidents(named),
        muted=mutes.active({alert.tenant_id for alert in alerts}, now=timezone.now()) if alerts else {},
        returned=_came_back_to_any(_quarter_minute()) if of is None else _came_back(since, among),
    )


def _came_back(since: datetime, among: dict[str, Any]) -> tuple[int, int]:
    kept = UsageMinute.objects.filter(start__gte=since, **among).order_by()
    sums = kept.aggregate(returned=Sum("returned", default=0), kept=Sum("kept", default=0))
    return sums["returned"], sums["kept"]


@lru_cache(maxsize=1)
def _came_back_to_any(quarter_minute: int) -> tuple[int, int]:
    """Of every tenant: read once in a quarter of a minute, since it looks at each that called."""
    return _came_back(datetime.fromtimestamp(quarter_minute * 15, UTC) - timedelta(minutes=LATELY_MINUTES), {})


@lru_cache(maxsize=1)
def _count_of_all(quarter_minute: int) -> int:
    return Tenant.objects.count()


def _quarter_minute() -> int:
    return int(timezone.now().timestamp()) // 15


def _incidents(tenant_ids: Collection[str]) -> dict[Kind, Incident]:
    if not tenant_ids:
        return {}
    lasting = Incident.objects.filter(ended_at=None, tenant_id__in=tenant_ids)[:_MOST]
    return {(each.tenant_id, each.action_id, each.limit_name): each for each in lasting}


def incident_of(known: StoredReadings, tenant_id: str, action_id: str, limit_name: str) -> int | None:
    """The number of the incident that lasts of this limit, which counts one action or all together."""
    kinds = [(tenant_id, action_id, limit_name), (tenant_id, "", limit_name)]
    return next((known.incidents[kind].pk for kind in kinds if kind in known.incidents), None)


def feed(known: StoredReadings) -> list[dict[str, Any]]:
    """The refusals as lines, newest first: one for each kind and second."""
    names = known.names
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for event in sorted(known.events, key=lambda event: event.at, reverse=True):
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
                "incident": _its_incident(known, event),
            },
        )
        line["count"] += event.count
    return list(lines.values())


def _its_incident(known: StoredReadings, event: ThrottleEvent) -> int | None:
    return None if event.shadow else incident_of(known, event.tenant_id, event.action_id, event.limit_name)
