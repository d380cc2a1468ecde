"""Names for people in reports: a tenant by its name, with its ID where another one has the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tenants.models import Tenant


class TenantNames:
    """The names of these tenants; one that was deleted since has only its ID."""

    def __init__(self, tenant_ids: Iterable[str]) -> None:
        rows = Tenant.objects.filter(tenant_id__in=set(tenant_ids)).order_by()
        self._names = dict(rows.values_list("tenant_id", "name"))
        self._bearers = Counter(self._names.values())

    def of(self, tenant_id: str) -> str:
        """For a text or a chart."""
        name = self._names.get(tenant_id)
        if not name:
            return tenant_id
        return name if self._bearers[name] == 1 else f"{name} ({tenant_id})"

    def with_id(self, tenant_id: str) -> str:
        """For the table in which a reader looks IDs up."""
        name = self._names.get(tenant_id)
        return f"{name} ({tenant_id})" if name and name != tenant_id else tenant_id

    def pair(self, tenant_id: str, action_id: str) -> str:
        """A tenant's action; with ``action_id`` empty, all of its actions together."""
        return f"{self.of(tenant_id)} / {action_id}" if action_id else f"{self.of(tenant_id)}, all actions"
