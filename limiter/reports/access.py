"""Who may export what, whose exports a person sees, and from which tenants their rows may be."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from limiter.models import Export

SEE_TENANTS = "tenants.view_tenant"
_READS = {
    Export.Kind.EVENTS: "limiter.view_throttleevent",
    Export.Kind.USAGE: SEE_TENANTS,
    Export.Kind.CHANGES: "limiter.view_auditentry",
    Export.Kind.SUMMARY: "limiter.view_throttleevent",
}


def tenants_of(user: Any) -> frozenset[str] | None:
    """The tenants a person may see: None is all of them."""
    return None if user.is_active and user.has_perm(SEE_TENANTS) else frozenset()


def may_export(user: Any, kind: str) -> bool:
    """Whether the person may export this kind: an export is no way round the right to read."""
    return bool(user.is_active and user.has_perm("limiter.add_export") and user.has_perm(_READS[Export.Kind(kind)]))


def exports_of(user: Any) -> QuerySet[Export]:
    """The exports a person sees: their own; a superuser sees all."""
    return Export.objects.all() if user.is_superuser else Export.objects.filter(requested_by=user)


def may_download(user: Any, export: Export) -> bool:
    """Whether the rights of now, not those of the day it was asked for, allow the file."""
    if not may_export(user, export.kind):
        return False
    seen = tenants_of(user)
    return seen is None or (export.scope is not None and frozenset(export.scope) <= seen)
