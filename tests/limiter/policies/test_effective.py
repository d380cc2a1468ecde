"""The page, the alerts and the workers take the effective policy of a call from one place, so that none drifts."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from limiter.core.types import Limit
from limiter.models import Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.policies import stored
from limiter.policies.effective import TenantEntry
from limiter.policies.in_force import MAX_ACTIONS, in_force
from tenants.models import Action, Tenant
from tests.limiter.workers import worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]


def policy(name: str, **limits: int) -> QuotaPolicy:
    row = QuotaPolicy.objects.create(name=name, store_failure="closed")
    for limit_name, quota in limits.items():
        QuotaLimit.objects.create(policy=row, name=limit_name, quota=quota, window_seconds=60)
    return row


def by_every_rule(acme: Tenant) -> None:
    """A default, a tenant's and an action's policy, a shadow one among them, and two overrides."""
    QuotaPolicy.objects.filter(pk=policy("Trial", inner=7).pk).update(mode="shadow")
    trial = QuotaPolicy.objects.get(name="Trial")
    action = Action.objects.get(tenant=acme, action_id="lookupOrder")
    Assignment.objects.create(policy=policy("Gold", minute=600, day=9), target="tenant", tenant=acme)
    Assignment.objects.create(policy=trial, target="action", action=action)
    now = timezone.now()
    times = {"starts_at": now, "ends_at": now + timedelta(hours=1), "reason": "campaign"}
    Override.objects.create(tenant=acme, effect="factor", factor=2, **times)
    Override.objects.create(tenant=acme, action=action, limit_name="day", effect="quota", quota=4, **times)


async def test_page_alerts_and_workers_read_the_same_limits(acme: Tenant, base_policy: QuotaPolicy) -> None:
    await sync_to_async(by_every_rule)(acme)
    now = time.time()
    async with worker() as made:
        await made.look()
        held = await made.tenant("acme")
    shown = {each.action_id: each.plan for each in await sync_to_async(in_force)(acme, now=now)}
    entry = (await sync_to_async(stored.read_entries)(["acme"]))["acme"]
    assert held is not None and isinstance(entry, TenantEntry)
    assert set(shown) == {None, "lookupOrder"}
    for action_id, plan in shown.items():
        decided = held.plan(action_id, now)
        assert plan.limits == decided.limits == entry.plan(action_id, now).limits
        assert (plan.replaced, plan.overrides, plan.store_failure) == (
            decided.replaced,
            decided.overrides,
            decided.store_failure,
        )
    in_force_then = {limit.name: limit.quota for limit in shown["lookupOrder"].limits}
    assert in_force_then == {"minute": 1200, "day": 8, "inner": 14}


def test_each_of_many_actions_has_its_own_limits(acme: Tenant, base_policy: QuotaPolicy) -> None:
    """A page shows the first of them; what asks for an action by name gets that action's."""
    strict = policy("Strict", minute=5)
    for number in range(MAX_ACTIONS + 1):
        action = Action.objects.create(tenant=acme, action_id=f"own{number:02}")
        Assignment.objects.create(policy=strict, target="action", action=action)
    entry = stored.read_entries(["acme"])["acme"]
    assert isinstance(entry, TenantEntry)
    assert len(in_force(acme)) == 1 + MAX_ACTIONS
    assert quotas(entry.plan(f"own{MAX_ACTIONS:02}", 0).limits) == quotas(entry.plan("own00", 0).limits) == [5]


def quotas(limits: tuple[Limit, ...]) -> list[int]:
    return [limit.quota for limit in limits]
