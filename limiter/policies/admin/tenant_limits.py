"""On a tenant's page: the limits its calls stand under now, and which policy each comes from."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from limiter.policies import sentences
from limiter.policies.in_force import InForce, in_force
from limiter.policies.plan import applied
from limiter.policies.stored import Unusable
from quota_platform.base.admin.panels import Panel, add_panel
from tenants.models import Tenant


def register() -> None:
    """Called once, when the admin's modules are imported."""
    add_panel(Tenant, Panel(template="limiter/tenant_limits.html", fill=_fill))


def _fill(request: HttpRequest, tenant: Tenant) -> dict[str, Any] | None:
    if not request.user.has_perm("limiter.view_quotapolicy"):
        return None
    try:
        return {"groups": [_shown(found, learns=tenant.connection.learns_in_flight) for found in in_force(tenant)]}
    except Unusable as error:
        return {"problem": str(error)}


def _shown(found: InForce, *, learns: bool) -> dict[str, Any]:
    plan = found.plan
    return {
        "action_id": found.action_id,
        "limits": [(limit, sentences.compiled(limit)) for limit in applied(plan.limits, learns=learns)],
        "replaced": plan.replaced,
        "overrides": plan.overrides,
    }
