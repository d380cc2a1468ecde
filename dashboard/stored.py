"""What the database and the undrained streams say about refusals and changes of some tenants, for the live pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from limiter.alerts.models import Alert
from limiter.policies.models import Override, QuotaPolicy
from limiter.record.models import AuditEntry, MultiplierChange, ThrottleEvent
from tenants.models import Tenant

_LATELY = timedelta(minutes=15)
_MOST = 200
_CHANGES = 12

Kind = tuple[str, str, str]
"""tenant ID, action ID, limit name"""


@dataclass(frozen=True, slots=True)
class Stored:
    """``names``: tenant ID -> name. ``refused``: calls refused lately per kind. ``events``: newest first."""

    names: dict[str, str] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)
    refused: dict[Kind, int] = field(default_factory=dict)
    events: list[ThrottleEvent] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    """Those that last, newest first."""


def by_tenant(known: Stored) -> dict[str, Stored]:
    """The refusals of each tenant apart, so that a limit need not look through those of all."""
    refused: defaultdict[str, dict[Kind, int]] = defaultdict(dict)
    for kind, calls in known.refused.items():
        refused[kind[0]][kind] = calls
    events: defaultdict[str, list[ThrottleEvent]] = defaultdict(list)
    for event in known.events:
        events[event.tenant_id].append(event)
    names = known.names.keys() | refused.keys() | events.keys()
    return {name: replace(known, refused=refused[name], events=events[name]) for name in names}


def read(tenant_ids: Collection[str]) -> Stored:
    """Read it in a handful of queries, whatever the number of tenants. For a thread."""
    tenants = Tenant.objects.filter(tenant_id__in=tenant_ids).select_related("connection")
    lately = ThrottleEvent.objects.filter(tenant_id__in=tenant_ids, at__gte=timezone.now() - _LATELY)
    kinds = lately.order_by().values_list("tenant_id", "action_id", "limit_name").annotate(calls=Sum("count"))
    return Stored(
        names={tenant.tenant_id: tenant.name for tenant in tenants},
        connections={tenant.tenant_id: tenant.connection.name for tenant in tenants},
        refused={(tenant, action, limit): calls for tenant, action, limit, calls in kinds},
        events=list(lately[:_MOST]),
        changes=_changes(tenant_ids),
        alerts=list(Alert.objects.filter(ended_at=None, tenant_id__in=tenant_ids)[:_MOST]),
    )


def _changes(tenant_ids: Collection[str]) -> list[dict[str, Any]]:
    found = [*_multipliers(tenant_ids), *_policies(), *_overrides(tenant_ids), *_done(tenant_ids)]
    return sorted(found, key=lambda change: -int(change["at_ms"]))[:_CHANGES]


def _multipliers(tenant_ids: Collection[str]) -> list[dict[str, Any]]:
    rows = MultiplierChange.objects.filter(tenant_id__in=tenant_ids)[:_CHANGES]
    return [
        _change(
            row.at,
            "multiplier",
            f"Multiplier of {row.tenant_id} {row.before:.2f} → {row.after:.2f}: {row.because}",
        )
        for row in rows
    ]


def _policies() -> list[dict[str, Any]]:
    rows = QuotaPolicy.history.select_related("history_user").order_by("-history_date")[:_CHANGES]
    return [
        _change(
            row.history_date,
            "policy",
            f"Policy {row.name}, version {row.version}" + (f", by {row.history_user}" if row.history_user else ""),
        )
        for row in rows
    ]


def _overrides(tenant_ids: Collection[str]) -> list[dict[str, Any]]:
    rows = Override.objects.filter(tenant__tenant_id__in=tenant_ids, starts_at__lte=timezone.now())
    found = rows.select_related("tenant", "action").order_by("-starts_at")[:_CHANGES]
    return [_change(row.starts_at, "override", f"{row}: {row.reason}") for row in found]


def _done(tenant_ids: Collection[str]) -> list[dict[str, Any]]:
    """What people did to counts and keys, as the record has it."""
    rows = AuditEntry.objects.filter(kind__in=_DONE, tenant_id__in=tenant_ids).order_by("-at", "-id")[:_CHANGES]
    return [
        _change(
            row.at,
            row.kind.partition(".")[0],
            _said(row) + (f", by {row.actor}" if row.actor else "") + _why(row.payload),
        )
        for row in rows
    ]


def _reset(payload: Mapping[str, Any]) -> str:
    whose = f"key {payload['key_prefix']}" if payload["key_prefix"] else payload["action_id"] or "all actions"
    return f"{payload['limit_name']} of {whose} reset from {payload['used']:,} of {payload['effective_limit']:,}"


_DONE: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "counter.reset": _reset,
    "key.revoked": lambda payload: f"API key {payload['name']} revoked",
}


def _said(row: AuditEntry) -> str:
    """In words; of an entry that another release wrote in another way only its kind."""
    try:
        return _DONE[row.kind](row.payload)
    except (LookupError, TypeError, ValueError):
        return row.kind


def _why(payload: Mapping[str, Any]) -> str:
    return f": {payload['reason']}" if payload.get("reason") else ""


def _change(at: datetime, kind: str, text: str) -> dict[str, Any]:
    return {"at_ms": int(at.timestamp() * 1000), "kind": kind, "text": text}


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
