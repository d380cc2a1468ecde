"""Which tenants a person sees, and the conditions on rows that follow (:mod:`~quota_platform.base.row_access`)."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from quota_platform.base.row_access import Condition, sees_every_tenant
from tenants.models import Membership, Tenant

SEE = "tenants.view_tenant"


def tenants_of(person: Any) -> QuerySet[Tenant]:
    """The tenants that the person sees now; none for somebody without the right to see any, or switched off."""
    if sees_every_tenant(person):
        return Tenant.objects.all()
    if not person.has_perm(SEE):
        return Tenant.objects.none()
    return Tenant.objects.filter(pk__in=Membership.objects.filter(user=person).values("tenant"))


def names_of(person: Any) -> frozenset[str] | None:
    """Their tenant IDs; None is every one, also those that are no more."""
    if sees_every_tenant(person):
        return None
    return frozenset(tenants_of(person).values_list("tenant_id", flat=True))


def by_tenant(*paths: str) -> Condition:
    """Rows that name one of the person's tenants under one of these lookups."""

    def condition(person: Any) -> Q:
        found = Q()
        for path in paths:
            found |= Q(**{f"{path}__in": tenants_of(person)})
        return found

    return condition


def by_name(person: Any) -> Q:
    """Rows of the record, which hold a tenant ID as text. The names are read first, for the index on them."""
    return Q(tenant_id__in=sorted(names_of(person) or ()))
