"""Which tenants a person may see, and change for a while."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from tenants.models import Tenant

SEE = "tenants.view_tenant"
"""The right that the gateway asks for too before it tells a signed-in person a tenant's consumption."""
ACT = "limiter.add_override"


def tenants_of(user: Any) -> QuerySet[Tenant]:
    """The tenants whose numbers the person may see: with the right all of them, without it none."""
    return Tenant.objects.all() if user.is_active and user.has_perm(SEE) else Tenant.objects.none()


def may_act(user: Any) -> bool:
    """Whether the person may change limits for a while."""
    return bool(user.is_active and user.has_perm(ACT))
