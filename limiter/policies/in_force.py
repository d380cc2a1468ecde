"""The limits that a tenant's calls stand under now, read from the database for people to look at."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from limiter.live import rows
from limiter.live.entries import TenantRules
from limiter.policies.compiled import PolicySpec
from limiter.policies.plan import Plan, build_plan
from tenants.models import Tenant

MOST_ACTIONS = 20


@dataclass(frozen=True, slots=True)
class InForce:
    """The plan of one action, or with ``action_id`` None of all that have nothing of their own."""

    action_id: str | None
    plan: Plan


def in_force(tenant: Tenant, *, now: float | None = None) -> list[InForce]:
    """The plan of the tenant's calls, then those of the first actions that have a policy or an override of their own.

    Raises :class:`limiter.live.rows.Unusable` when a policy or the tenant cannot be compiled.
    """
    rules = rows.read_tenants([tenant.tenant_id])[tenant.tenant_id]
    if isinstance(rules, rows.Unusable):
        raise rules
    at = time.time() if now is None else now
    default = rows.read_default([0])[0]
    broad = [policy for policy in (default, rules.policy_id) if isinstance(policy, int) and policy]
    policies = rows.read_policies({*broad, *rules.action_policy_ids.values()})
    own = {o.action_id for o in rules.overrides if o.action_id and o.ends_at > at} | set(rules.action_policy_ids)
    return [
        InForce(action_id, _plan(rules, action_id, broad, policies, at))
        for action_id in (None, *sorted(own)[:MOST_ACTIONS])
    ]


def _plan(
    rules: TenantRules,
    action_id: str | None,
    broad: list[int],
    policies: Mapping[int, PolicySpec | rows.Unusable],
    now: float,
) -> Plan:
    narrow = [rules.action_policy_ids[action_id]] if action_id in rules.action_policy_ids else []
    stack = []
    for policy_id in [*broad, *narrow]:
        policy = policies[policy_id]
        if isinstance(policy, rows.Unusable):
            raise policy
        stack.append(policy)
    return build_plan(stack, action_id=action_id, overrides=rules.overrides, now=now)
