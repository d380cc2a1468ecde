"""The names that the form of an export offers: tenants, actions and policies that the person sees."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from limiter.policies.models import QuotaPolicy
from quota_platform.base import row_access
from tenants.models import Action
from tenants.scope import tenants_of

KINDS = ("tenants", "actions", "policies")
PAGE = 20
_MAX_PAGE = 500


def page(person: Any, kind: str, *, term: str, number: int) -> dict[str, Any]:
    """One page of the names that contain the term, as Select2 reads it: each a name to send and a text to show."""
    start = (min(max(1, number), _MAX_PAGE) - 1) * PAGE
    found = list(_named(person, kind, term.strip())[start : start + PAGE + 1])
    results = [{"id": name, "text": text if text == name else f"{text} ({name})"} for name, text in found[:PAGE]]
    return {"results": results, "pagination": {"more": len(found) > PAGE}}


def _named(person: Any, kind: str, term: str) -> Any:
    if kind == "tenants":
        rows = tenants_of(person).filter(Q(tenant_id__icontains=term) | Q(name__icontains=term))
        return rows.order_by("tenant_id").values_list("tenant_id", "name")
    if kind == "actions":
        actions = row_access.viewed(person, Action).filter(action_id__icontains=term)
        return actions.order_by("action_id").values_list("action_id", "action_id").distinct()
    policies = row_access.viewed(person, QuotaPolicy).filter(name__icontains=term)
    return policies.order_by("name").values_list("name", "name")
