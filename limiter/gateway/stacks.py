"""A worker's limits bound to subjects, kept so that a call binds nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from limiter.core import headers
from limiter.core.types import PPM, CountedPer, Decision, Limit, Subject
from limiter.core.window import Stack
from limiter.policies.plan import EffectivePolicy, bind
from tenants.directory import TenantSpec

_KEPT = 20_000


class Announced:
    """The header that announces a plan's limits as they are in force, written anew when the multiplier moves."""

    __slots__ = ("_ppm", "_text")

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._ppm, self._text = PPM, headers.policy(limits)

    def by(self, decision: Decision) -> str:
        """As it was decided; "" when nothing is enforced."""
        if decision.multiplier_ppm != self._ppm:
            self._ppm, self._text = decision.multiplier_ppm, headers.policy_in_force(decision)
        return self._text


class Bound(NamedTuple):
    """A plan bound to a subject, with the header that announces it."""

    plan: EffectivePolicy
    stack: Stack
    announced: Announced


class Stacks:
    """The most recently used stacks. One that was bound from an older plan is bound anew."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str, str, str], Bound] = OrderedDict()
        self.connections: set[int] = set()

    def bound(self, plan: EffectivePolicy, tenant: TenantSpec, action_id: str, key_prefix: str) -> Bound:
        """The stack for calls of this action with this key under ``plan``."""
        # Tenants share plans: all that a subject is made of has to be in the name.
        name = (tenant.connection.id, tenant.tenant_id, action_id, key_prefix)
        found = self._kept.get(name)
        if found is not None and found.plan is plan:
            self._kept.move_to_end(name)
            return found
        self.connections.add(tenant.connection.id)
        made = _bind(plan, tenant, action_id, key_prefix)
        self._kept[name] = made
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return made


def _bind(plan: EffectivePolicy, tenant: TenantSpec, action_id: str, key_prefix: str) -> Bound:
    per_key = any(limit.counted_per is CountedPer.KEY for limit in plan.limits)
    subject = Subject(
        connection=tenant.connection.id,
        tenant=tenant.tenant_id,
        action=action_id,
        key=key_prefix if per_key else "",
    )
    return Bound(plan, bind(plan, subject), Announced(plan.limits))
