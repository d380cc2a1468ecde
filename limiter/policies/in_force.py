"""The limits that a tenant's calls stand under now, read from the database for people to look at."""

from __future__ import annotations

import time
from dataclasses import dataclass

from limiter.core.types import MICROS
from limiter.policies import stored
from limiter.policies.compiled import PolicyUnavailable
from limiter.policies.plan import EffectivePolicy
from limiter.policies.stored import Unusable
from tenants.models import Action, Tenant

MAX_ACTIONS = 20


@dataclass(frozen=True, slots=True)
class InForce:
    """The plan of one action, or with ``action_id`` None of all that have nothing of their own."""

    action_id: str | None
    plan: EffectivePolicy


def in_force(tenant: Tenant, *, now: float | None = None) -> list[InForce]:
    """The plan of the tenant's calls, then those of the first actions that have a policy or an override of their own.

    Raises :class:`limiter.policies.stored.Unusable` when a policy or the tenant cannot be compiled.
    """
    entry = stored.read_entries([tenant.tenant_id])[tenant.tenant_id]
    if isinstance(entry, Unusable):
        raise entry
    at = time.time() if now is None else now
    rules = entry.rules
    own = {o.action_id for o in rules.overrides if o.action_id and o.ends_at > at} | set(rules.action_policy_ids)
    try:
        return [InForce(action_id, entry.plan(action_id, at)) for action_id in (None, *sorted(own)[:MAX_ACTIONS])]
    except PolicyUnavailable as error:
        raise Unusable(error.problem) from error


def windows(tenant: Tenant | None, action: Action | None, limit_name: str | None) -> set[int]:
    """The windows, in seconds, of the limits of this name that an override for these meets now; empty name: of all.

    Empty when there are none, or nobody can tell.
    """
    try:
        found = in_force(tenant) if tenant else []
    except Unusable:
        return set()
    own = [each for each in found if action and each.action_id == action.action_id]
    plans = own or ([each for each in found if each.action_id is None] if action else found)
    limits = {limit for each in plans for limit in each.plan.limits if limit_name in ("", None, limit.name)}
    return {limit.window_us // MICROS for limit in limits if limit.window_us}
