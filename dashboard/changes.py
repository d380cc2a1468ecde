"""What changed lately, as lines of a page: a code with its parameters each, who did it and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone

from limiter.policies.models import Override, QuotaPolicy
from limiter.record import edits, resets
from limiter.record.models import AuditEntry, MultiplierChange
from tenants.models import Tenant

_LINES = 12

Line = dict[str, Any]


def lately(tenants: Collection[Tenant]) -> list[Line]:
    """The newest changes that these tenants' people may know of."""
    tenant_ids = [tenant.tenant_id for tenant in tenants]
    multipliers = MultiplierChange.objects.filter(tenant_id__in=tenant_ids)[:_LINES]
    found = [*of_multipliers(multipliers, tenants), *_policies(), *_overrides(tenant_ids), *_done(tenant_ids)]
    return sorted(found, key=lambda change: -int(change["at_ms"]))[:_LINES]


def of_multipliers(rows: Iterable[MultiplierChange], tenants: Collection[Tenant]) -> list[Line]:
    """Whose limits were cut to what, and why."""
    of = {tenant.tenant_id: tenant for tenant in tenants}
    return [_line(row.at, "multiplier", **_cut(row, of.get(row.tenant_id))) for row in rows]


def _cut(row: MultiplierChange, tenant: Tenant | None) -> Line:
    return {
        "code": f"change.{_why_cut(row)}",
        "tenant": tenant.name if tenant else row.tenant_id,
        "upstream": tenant.connection.name if tenant else "",
        "after": row.after,
        "p95": round(row.p95_ms),
        "threshold": round(row.threshold_ms),
        "samples": row.samples,
        "pushed_back": row.pushed_back,
    }


def _why_cut(row: MultiplierChange) -> str:
    """``…over``: without samples a multiplier ends by itself."""
    if not row.samples:
        return "cut_over"
    if row.after >= row.before:
        return "cut_less" if row.after < 1 else "cut_ended"
    return "cut_slow" if row.p95_ms > row.threshold_ms else "cut_pushed_back" if row.pushed_back else "cut"


def _policies() -> list[Line]:
    rows = QuotaPolicy.history.select_related("history_user").order_by("-history_date")[:_LINES]
    return [
        _line(row.history_date, "policy", code="change.policy", policy=row.name, version=row.version, by=_by(row))
        for row in rows
    ]


def _by(row: Any) -> str:
    return str(row.history_user) if row.history_user else ""


def _overrides(tenant_ids: Collection[str]) -> list[Line]:
    rows = Override.objects.filter(tenant__tenant_id__in=tenant_ids, starts_at__lte=timezone.now())
    found = rows.select_related("tenant", "action").order_by("-starts_at")[:_LINES]
    return [_line(row.starts_at, "override", **_override(row)) for row in found]


def _override(row: Override) -> Line:
    return {
        "code": f"change.override_{row.effect}",
        "tenant": row.tenant.name,
        "action": row.action.action_id if row.action else "",
        "limit": row.limit_name,
        "factor": row.factor,
        "quota": row.quota,
        "until": _ms(row.ends_at),
        "by": row.created_by,
        "why": row.reason,
    }


def _done(tenant_ids: Collection[str]) -> list[Line]:
    """What people did to counts and keys, as the record has it."""
    rows = AuditEntry.objects.filter(kind__in=_DONE, tenant_id__in=tenant_ids).order_by("-at", "-id")[:_LINES]
    return [
        _line(row.at, row.kind.partition(".")[0], **_said(row), by=row.actor, why=str(row.payload.get("reason", "")))
        for row in rows
    ]


def _reset(payload: Any) -> Line:
    reset = resets.read(payload)
    return {
        "code": "change.reset_of_key" if reset.key_prefix else "change.reset",
        "limit": reset.limit_name,
        "key": reset.key_prefix,
        "action": reset.action_id,
        "used": reset.used,
        "effective": reset.effective_limit,
    }


_DONE: dict[str, Callable[[Any], Line]] = {
    "counter.reset": _reset,
    "key.revoked": lambda payload: {"code": "change.revoked", "key": edits.name_in(payload)},
}


def _said(row: AuditEntry) -> Line:
    """Of an entry that another release wrote in another way only its kind."""
    try:
        return _DONE[row.kind](row.payload)
    except (LookupError, TypeError, ValueError):
        return {"code": "change.other", "entry": row.kind}


def _line(at: datetime, kind: str, **said: Any) -> Line:
    return {"at_ms": _ms(at), "kind": kind, **said}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
