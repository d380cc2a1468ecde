"""Limits that count by a value of the call: who has as many values in use as a limit counts."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies import event_types, values_in_use
from tenants.models import Action, Tenant

pytestmark = pytest.mark.django_db
LIMIT: dict[str, Any] = {
    "name": "contact",
    "quota": 5,
    "window_seconds": 60,
    "counted_per": "tenant",
    "counted_by": "/contactId",
    "max_values": 2,
}


@pytest.fixture
def contact(acme: Tenant, globex: Tenant) -> QuotaLimit:
    for tenant in (acme, globex):
        Action.objects.get_or_create(tenant=tenant, action_id="lookupOrder")
    policy = QuotaPolicy.objects.create(name="Contacts")
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    return QuotaLimit.objects.create(policy=policy, **LIMIT)


def use(redis_url: str, *digests: str, for_s: float = 60) -> None:
    """Values of acme's calls whose counts end then."""
    (found,) = [each for entry in values_in_use._entries() for each in values_in_use._of(entry)]
    with redis.Redis.from_url(redis_url) as store:
        store.zadd(found.register, dict.fromkeys(digests, (time.time() + for_s) * 1_000_000))


def test_a_limit_is_full_when_a_tenant_has_as_many_values_in_use_as_it_counts(
    contact: QuotaLimit, redis_url: str
) -> None:
    use(redis_url, "gone", "old", for_s=-1)
    use(redis_url, "a")
    assert values_in_use.full() == []
    use(redis_url, "b")
    (found,) = values_in_use.full() or []
    assert (found[0].subject.tenant, found[0].subject.action, found[0].limit.name, found[1]) == (
        "acme",
        "",
        "contact",
        2,
    )


def test_it_is_an_event_of_its_tenant_alone(contact: QuotaLimit, redis_url: str, globex: Tenant) -> None:
    use(redis_url, "a", "b", "c")
    type_ = next(each for each in event_types.TYPES if each.name == "values.full")
    assert type_.lasting is not None
    (condition,) = type_.lasting.now() or []
    assert [tenant.tenant_id for tenant in condition.tenants] == ["acme"]
    assert type_.title_of(condition.data).startswith("Limit contact of acme counts 3 values")
    assert not condition.at_once


def test_limits_of_single_keys_and_suspended_tenants_are_not_looked_at(
    contact: QuotaLimit, acme: Tenant, redis_url: str
) -> None:
    use(redis_url, "a", "b")
    Tenant.objects.filter(pk=acme.pk).update(status="suspended")
    assert values_in_use.full() == []
    Tenant.objects.filter(pk=acme.pk).update(status="active")
    QuotaLimit.objects.update(counted_per="key")
    assert values_in_use.full() == []
