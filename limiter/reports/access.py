"""Who may export what, whose exports a person sees, and when a file is still theirs to fetch."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from limiter.reports.models import Export, ReportSchedule
from tenants import scope

_READS: dict[str, str] = {
    Export.Kind.EVENTS: "limiter.view_throttleevent",
    Export.Kind.USAGE: scope.SEE,
    Export.Kind.CHANGES: "limiter.view_auditentry",
    Export.Kind.SUMMARY: "limiter.view_throttleevent",
}


def may_export(user: Any, kind: str) -> bool:
    """Whether the person may export this kind: an export is no way round the right to read."""
    right = _READS.get(kind)  # none for a kind that only a newer release knows
    return bool(right and user.is_active and user.has_perm("limiter.add_export") and user.has_perm(right))


def exports_of(user: Any) -> QuerySet[Export]:
    """The exports a person sees: their own; a superuser sees all."""
    return Export.objects.all() if user.is_superuser else Export.objects.filter(requested_by=user)


def schedules_of(user: Any) -> QuerySet[ReportSchedule]:
    """The saved reports a person sees: their own; a superuser sees all."""
    return ReportSchedule.objects.all() if user.is_superuser else ReportSchedule.objects.filter(owner=user)


def may_download(user: Any, export: Export) -> bool:
    """Whether the rights of now, not those of the day it was asked for, allow the file."""
    if not may_export(user, export.kind):
        return False
    seen = scope.names_of(user)
    return seen is None or (export.scope is not None and frozenset(export.scope) <= seen)


def narrow(export: Export) -> None:
    """Take from the scope what the person who asked has lost since then: rows are read later than they are ordered."""
    now = scope.names_of(export.requested_by) if export.requested_by is not None else None
    if now is not None:
        export.scope = sorted(now if export.scope is None else now & frozenset(export.scope))
