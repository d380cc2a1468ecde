"""What people changed that concerns a tenant, from the record: edits, overrides, resets, keys, versions of a policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from limiter.incidents.models import Incident
from limiter.policies import versions
from limiter.policies.models import QuotaPolicy
from limiter.policies.versions import Difference
from limiter.record.models import AuditEntry
from quota_platform.base import records
from tenants.models import Tenant

MAX_CHANGES = 50
_MAX_READ = 200
_MAX_DETAILS = 6
_MAX_VALUE = 60
_UNSHOWN = {"id", "version", "updated_at", "created_at", "created_by", "last_used_at"}
_WORDS = {
    "action.changed": gettext_noop("Action changed"),
    "action.created": gettext_noop("Action created"),
    "action.deleted": gettext_noop("Action deleted"),
    "assignment.changed": gettext_noop("Assignment of a policy changed"),
    "assignment.created": gettext_noop("Policy assigned"),
    "assignment.deleted": gettext_noop("Assignment of a policy deleted"),
    "connection.changed": gettext_noop("Connection changed"),
    "counter.reset": gettext_noop("Counter reset"),
    "key.created": gettext_noop("API key created"),
    "key.revoked": gettext_noop("API key revoked"),
    "override.changed": gettext_noop("Override changed"),
    "override.created": gettext_noop("Override created"),
    "override.deleted": gettext_noop("Override deleted"),
    "override.ended": gettext_noop("Override ended"),
    "override.started": gettext_noop("Override in force"),
    "tenant.changed": gettext_noop("Tenant changed"),
}
"""The kinds of audit entries that are shown, each in words."""
_POLICY, _NEW_POLICY = gettext_noop("Policy changed"), gettext_noop("Policy created")


@dataclass(frozen=True, slots=True)
class ChangeSeen:
    """One change: its time, object, person and reason, with the values before and after."""

    at: datetime
    words: str
    name: str
    by: str
    reason: str
    details: tuple[Difference, ...]


def of(incident: Incident, start: datetime, end: datetime) -> list[ChangeSeen]:
    """The changes from ``start`` until before ``end`` that concern the incident's tenant, oldest first."""
    found = [*_edits(incident.tenant_id, start, end), *_versions(incident.policy_name, start, end)]
    return sorted(found, key=lambda change: change.at)[:MAX_CHANGES]


def _edits(tenant_id: str, start: datetime, end: datetime) -> Iterator[ChangeSeen]:
    """Of the platform's own entries only those of the tenant's connection and of the policy for everyone."""
    tenant = Tenant.objects.filter(tenant_id=tenant_id).first()
    everyones = Q(tenant_id="", kind__startswith="connection.") | Q(tenant_id="", kind__startswith="assignment.")
    entries = AuditEntry.objects.filter(Q(tenant_id=tenant_id) | everyones, kind__in=_WORDS, at__gte=start, at__lt=end)
    for entry in entries.order_by("at", "id")[:_MAX_READ]:
        payload = entry.payload if isinstance(entry.payload, dict) else {}
        if entry.tenant_id or _concerns(payload, entry.kind, tenant):
            yield ChangeSeen(
                at=entry.at,
                words=_(_WORDS[entry.kind]),
                name=_name(payload),
                by=entry.actor,
                reason=_first(payload, "reason"),
                details=tuple(_details(payload)),
            )


def _concerns(payload: dict[str, Any], kind: str, tenant: Tenant | None) -> bool:
    if kind.startswith("connection."):
        return tenant is not None and payload.get("id") == tenant.connection_id
    sides = [side for side in (payload.get("before"), payload.get("after")) if isinstance(side, dict)]
    return any(side.get("target") == "default" for side in sides)


def _name(payload: dict[str, Any]) -> str:
    """The row's name; of a reset or an override its limit; of an action its ID; of an assignment its policy."""
    name = _first(payload, "name") or _first(payload, "limit_name") or _first(payload, "action_id")
    return name or _policy(payload)


def _policy(payload: dict[str, Any]) -> str:
    """The name of the policy that a row assigns, also of one that was deleted."""
    sides = [side for side in (payload.get("after"), payload.get("before")) if isinstance(side, dict)]
    number = next((side["policy_id"] for side in sides if isinstance(side.get("policy_id"), int)), None)
    named = QuotaPolicy.history.filter(id=number).order_by("-history_id").values_list("name", flat=True)
    return str(named.first() or "") if number is not None else ""


def _first(payload: dict[str, Any], field: str) -> str:
    """What the entry says of this field, or the row after or before the change."""
    sides = [side for side in (payload, payload.get("after"), payload.get("before")) if isinstance(side, dict)]
    return next((str(side[field]) for side in sides if isinstance(side.get(field), str) and side[field]), "")


def _details(payload: dict[str, Any]) -> Iterator[Difference]:
    """Of a changed row the fields that differ; a created or deleted one is named only."""
    before, after = payload.get("before"), payload.get("after")
    if not (isinstance(before, dict) and isinstance(after, dict) and before and after):
        return
    fields = [name for name in after if name not in _UNSHOWN]
    for name in fields[:_MAX_DETAILS]:
        yield Difference(name, _value(before.get(name)), _value(after[name]))


def _value(value: Any) -> str:
    return "" if value is None else str(value)[:_MAX_VALUE]


def _versions(policy_name: str, start: datetime, end: datetime) -> Iterator[ChangeSeen]:
    rows = QuotaPolicy.history.filter(name=policy_name, history_date__gte=start, history_date__lt=end)
    rows = rows.exclude(history_type="-").select_related("history_user").order_by("history_date", "history_id")
    seen = set()
    for row in rows[:MAX_CHANGES]:
        if row.version in seen:
            continue
        seen.add(row.version)
        kind = _NEW_POLICY if row.history_type == "+" else _POLICY
        yield ChangeSeen(
            at=row.history_date,
            words=_(kind),
            name=_("{policy}, version {version}").format(policy=row.name, version=row.version),
            by=records.editor(row),
            reason=records.reason(row),
            details=tuple(_between(row.id, row.version)),
        )


def _between(policy_id: int, version: int) -> list[Difference]:
    """The differences between a version and the one before; none for a first one."""
    old, new = versions.version_of(policy_id, version - 1), versions.version_of(policy_id, version)
    if old is None or new is None:
        return []
    found = versions.policy_differences(old.policy, new.policy) + versions.limit_differences(old.limits, new.limits)
    return found[:_MAX_DETAILS]
