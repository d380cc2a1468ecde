"""Who shares a limit of a connection, and on which terms."""

from __future__ import annotations

import pytest

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies import pools
from limiter.policies.floors import FloorTerms
from limiter.policies.pools import PoolMember
from tenants.models import Action, Tenant

pytestmark = pytest.mark.django_db
LIMIT = {"name": "pool", "quota": 100, "window_seconds": 60, "counted_per": "connection", "shared": True}


def policy(name: str, **terms: object) -> QuotaPolicy:
    made = QuotaPolicy.objects.create(name=name)
    QuotaLimit.objects.create(policy=made, **LIMIT, **terms)
    return made


def test_a_tenant_has_the_terms_of_its_policy_or_of_everyones_and_those_of_its_actions(
    acme: Tenant, globex: Tenant
) -> None:
    nightly = Action.objects.create(tenant=globex, action_id="nightly")
    Assignment.objects.create(policy=policy("Base"), target="default")
    Assignment.objects.create(policy=policy("Gold", share_weight=3, share_floor=20), target="tenant", tenant=acme)
    Assignment.objects.create(policy=policy("Night", share_class="bulk"), target="action", action=nightly)
    base, bulk = FloorTerms("normal", 1, 0, None), FloorTerms("bulk", 1, 0, None)
    acting = Action.objects.filter(tenant=acme, enabled=True).exists()
    assert pools.members(acme.connection_id, "pool") == [
        PoolMember("acme", acme.name, FloorTerms("normal", 3, 20, None), acting),
        PoolMember("globex", globex.name, bulk, True),
        PoolMember("globex", globex.name, base, True),
    ]
    assert pools.names(acme.connection_id) == ["pool"]


def test_a_tenant_of_another_connection_and_one_without_the_limit_share_nothing(acme: Tenant, globex: Tenant) -> None:
    Assignment.objects.create(policy=policy("Gold"), target="tenant", tenant=acme)
    assert [each.tenant_id for each in pools.members(acme.connection_id, "pool")] == ["acme"]
    assert pools.members(acme.connection_id + 1, "pool") == []
    assert pools.members(acme.connection_id, "another") == []
    assert pools.names(acme.connection_id + 1) == []


def test_many_tenants_take_no_more_queries(acme: Tenant, django_assert_max_num_queries: object) -> None:
    Assignment.objects.create(policy=policy("Base"), target="default")
    Tenant.objects.bulk_create(
        Tenant(tenant_id=f"t{number}", name=f"T{number}", connection=acme.connection) for number in range(50)
    )
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        assert len(pools.members(acme.connection_id, "pool")) == 51
