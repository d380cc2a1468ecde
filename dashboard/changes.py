"""What changed lately, as lines of a page: a code with its parameters each, who did it and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from dashboard import policy_changes
from dashboard.policy_changes import Line, line
from dashboard.times import epoch_ms
from limiter.policies.models import Override
from limiter.record import edits, resets
from limiter.record.models import AuditEntry, MultiplierChange
from tenants.models import Tenant

_LINES = 12
_MARKS = 40
"""In a chart."""


def lately(tenants: Collection[Tenant], *, of: Collection[str] | None) -> list[Line]:
    """The newest changes that concern the tenants ``of``, or any; ``tenants``: those whose names are known."""
    return _newest(tenants, datetime.fromtimestamp(0, UTC), timezone.now(), of=of, most=_LINES)


def between(tenant_id: str, start: int, end: int) -> list[Line]:
    """The changes that concern a tenant in a span of seconds, the newest ones if there are many. For a thread."""
    tenants = Tenant.objects.filter(tenant_id=tenant_id).select_related("connection")
    first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
    return _newest(tenants, first, last, of=[tenant_id], most=_MARKS)


def _newest(
    tenants: Collection[Tenant], start: datetime, end: datetime, *, of: Collection[str] | None, most: int
) -> list[Line]:
    within: dict[str, Any] = {"at__gte": start, "at__lte": end}
    if of is not None:
        within["tenant_id__in"] = of
    multipliers = MultiplierChange.objects.filter(**within)[:most]
    done = AuditEntry.objects.filter(kind__in=_DONE, **within).order_by("-at", "-id")[:most]
    found = [
        *of_multipliers(multipliers, tenants),
        *policy_changes.lines(of, start, end, most=most),
        *_overrides(of, start, end)[:most],
        *_done(done),
    ]
    return sorted(found, key=lambda change: -int(change["at_ms"]))[:most]


def of_multipliers(rows: Iterable[MultiplierChange], tenants: Collection[Tenant]) -> list[Line]:
    """Whose limits were cut to what, and why."""
    of = {tenant.tenant_id: tenant for tenant in tenants}
    return [line(row.at, "multiplier", **_cut(row, of.get(row.tenant_id))) for row in rows]


def _cut(row: MultiplierChange, tenant: Tenant | None) -> Line:
    return {
        "code": f"change.{_why_cut(row)}",
        "tenant": tenant.name if tenant else row.tenant_id,
        "upstream": tenant.connection.name if tenant else "",
        "before": row.before,
        "after": row.after,
        "p95": None if row.known_p95_ms is None else round(row.known_p95_ms),
        "threshold": round(row.threshold_ms),
        "samples": row.samples,
        "pushed_back": row.pushed_back,
    }


def _why_cut(row: MultiplierChange) -> str:
    """``…over``: with too few samples a multiplier ends by itself."""
    if not row.samples or (row.known_p95_ms is None and not row.pushed_back):
        return "cut_over"
    if row.after >= row.before:
        if row.known_p95_ms is None:
            return "cut_pushed_back_less"
        return "cut_less" if row.after < 1 else "cut_ended"
    return "cut_slow" if row.p95_ms > row.threshold_ms else "cut_pushed_back" if row.pushed_back else "cut"


def _overrides(tenant_ids: Collection[str] | None, start: datetime, end: datetime) -> list[Line]:
    rows = Override.objects.filter(starts_at__gte=start, starts_at__lte=end)
    if tenant_ids is not None:
        rows = rows.filter(tenant__tenant_id__in=tenant_ids)
    found = rows.select_related("tenant", "action").order_by("-starts_at")[:_MARKS]
    return [line(row.starts_at, "override", **_override(row)) for row in found]


def _override(row: Override) -> Line:
    return {
        "code": f"change.override_{row.effect}",
        "tenant": row.tenant.name,
        "action": row.action.action_id if row.action else "",
        "limit": row.limit_name,
        "factor": row.factor,
        "quota": row.quota,
        "until": epoch_ms(row.ends_at),
        "by": row.created_by,
        "why": row.reason,
    }


def _done(rows: Iterable[AuditEntry]) -> list[Line]:
    """What people did to counts and keys, as the record has it."""
    return [
        line(row.at, row.kind.partition(".")[0], **_said(row), by=row.actor, why=str(row.payload.get("reason", "")))
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
