"""The reach of a policy: how many tenants and actions, and the first of them by name."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from limiter.policies.models import Assignment, QuotaPolicy
from tenants.models import Action, Tenant

FIRST = 20


@dataclass(frozen=True, slots=True)
class Reach:
    """``everyone``: the number of tenants when this is the default policy, else None.

    ``tenants`` and ``actions`` are the first ones that were given the policy by name, ``tenant_count`` and
    ``action_count`` say how many there are. ``strangers``: it was given to others, too, outside the reader's view.
    """

    everyone: int | None
    tenant_count: int
    tenants: tuple[Tenant, ...]
    action_count: int
    actions: tuple[Action, ...]
    strangers: bool = False

    @property
    def nobody(self) -> bool:
        return self.everyone is None and not (self.tenant_count or self.action_count or self.strangers)


def reach(policy: QuotaPolicy, *, seen: QuerySet[Tenant]) -> Reach:
    """The tenants that an edit of this policy touches, among those that the reader sees.

    A narrower policy may replace single limits for some of them.
    """
    is_default = policy.assignments.filter(target=Assignment.Target.DEFAULT).exists()
    named = policy.assignments.exclude(target=Assignment.Target.DEFAULT)
    tenants = seen.filter(assignments__policy=policy).order_by("tenant_id")
    actions = Action.objects.filter(assignments__policy=policy, tenant__in=seen).select_related("tenant")
    tenant_count, action_count = tenants.count(), actions.count()
    return Reach(
        everyone=seen.count() if is_default else None,
        tenant_count=tenant_count,
        tenants=tuple(tenants[:FIRST]),
        action_count=action_count,
        actions=tuple(actions.order_by("tenant__tenant_id", "action_id")[:FIRST]),
        strangers=named.count() > tenant_count + action_count,
    )
