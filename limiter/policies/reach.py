"""Whom a policy reaches: how many tenants and actions, and the first of them by name."""

from __future__ import annotations

from dataclasses import dataclass

from limiter.models import Assignment, QuotaPolicy
from tenants.models import Action, Tenant

FIRST = 20


@dataclass(frozen=True, slots=True)
class Reach:
    """``everyone``: the number of tenants when this is the default policy, else None.

    ``tenants`` and ``actions`` are the first ones that were given the policy by name, ``tenant_count`` and
    ``action_count`` say how many there are.
    """

    everyone: int | None
    tenant_count: int
    tenants: tuple[Tenant, ...]
    action_count: int
    actions: tuple[Action, ...]

    @property
    def nobody(self) -> bool:
        return self.everyone is None and not self.tenant_count and not self.action_count


def reach(policy: QuotaPolicy) -> Reach:
    """Whom an edit of this policy touches. A narrower policy may replace single limits for some of them."""
    is_default = policy.assignments.filter(target=Assignment.Target.DEFAULT).exists()
    tenants = Tenant.objects.filter(assignments__policy=policy).order_by("tenant_id")
    actions = Action.objects.filter(assignments__policy=policy).select_related("tenant")
    return Reach(
        everyone=Tenant.objects.count() if is_default else None,
        tenant_count=tenants.count(),
        tenants=tuple(tenants[:FIRST]),
        action_count=actions.count(),
        actions=tuple(actions.order_by("tenant__tenant_id", "action_id")[:FIRST]),
    )
