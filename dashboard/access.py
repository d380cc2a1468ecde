"""Which tenants a person may see."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from tenants.models import Tenant


def tenants_of(user: Any) -> QuerySet[Tenant]:
    return Tenant.objects.all() if user.is_superuser else Tenant.objects.none()
