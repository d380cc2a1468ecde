"""Who shares a limit of a connection, and on which terms."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from limiter.core.types import Portion, ServiceClass
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies import pools
from limiter.policies.compiled import compile_policy
from limiter.policies.floors import FloorTerms
from limiter.policies.plan import OverrideSpec, build_plan
from limiter.policies.pools import PoolMember
from limiter.policies.portions import portion
from tenants.models import Action, Connection, Tenant

pytestmark = pytest.mark.django_db
LIMIT = {"name": "pool", "quota": 100, "window_seconds": 60, "counted_per": "connection", "shared": True}
NOTHING = "There is nothing to share: the connection neither learns its calls in flight nor has a pace."


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


def test_each_of_many_connections_has_the_limits_of_its_own_tenants(
    acme: Tenant, globex: Tenant, django_assert_num_queries: object
) -> None:
    unit = Connection.objects.create(name="unit", is_sandbox=True, base_url="http://127.0.0.1:8801", pace="learn")
    Connection.objects.filter(pk=unit.pk).update(shared=True)
    Tenant.objects.filter(pk=globex.pk).update(connection=unit)
    nightly = Action.objects.create(tenant=globex, action_id="nightly")
    night = QuotaPolicy.objects.create(name="Night")
    QuotaLimit.objects.create(policy=night, **{**LIMIT, "name": "night"})
    Assignment.objects.create(policy=policy("Gold"), target="tenant", tenant=acme)
    Assignment.objects.create(policy=night, target="action", action=nightly)
    with django_assert_num_queries(5):  # type: ignore[operator]
        found = pools.names_of([acme.connection_id, unit.pk])
    assert found == {acme.connection_id: ["pool"], unit.pk: ["(pace)", "night"]}


def test_a_tenant_of_another_connection_and_one_without_the_limit_share_nothing(acme: Tenant, globex: Tenant) -> None:
    Assignment.objects.create(policy=policy("Gold"), target="tenant", tenant=acme)
    assert [each.tenant_id for each in pools.members(acme.connection_id, "pool")] == ["acme"]
    assert pools.members(acme.connection_id + 1, "pool") == []
    assert pools.members(acme.connection_id, "another") == []
    assert pools.names(acme.connection_id + 1) == []


def test_what_a_connection_shares_has_the_terms_of_a_limit_as_parts_of_the_whole(acme: Tenant, globex: Tenant) -> None:
    gold = policy("Gold", share_weight=3, share_floor=20, share_ceiling=50)
    Assignment.objects.create(policy=gold, target="tenant", tenant=acme)
    Connection.objects.update(learns_in_flight=True, shared=True, shared_like="pool")
    assert pools.names(acme.connection_id) == ["(in flight)", "pool"]
    Connection.objects.update(pace="learn")
    assert pools.names(acme.connection_id) == ["(in flight)", "(pace)", "pool"]
    assert pools.members(acme.connection_id, "(pace)") == pools.members(acme.connection_id, "(in flight)")
    parts = {each.tenant_id: each.terms for each in pools.members(acme.connection_id, "(in flight)") if each.in_parts}
    assert parts == {"acme": FloorTerms("normal", 3, 2000, 5000), "globex": FloorTerms("normal", 1, 0, None)}
    Connection.objects.update(shared_like="")
    parts = {each.tenant_id: each.terms for each in pools.members(acme.connection_id, "(in flight)")}
    assert set(parts.values()) == {FloorTerms("normal", 1, 0, None)}


def test_a_connection_that_does_not_share_has_no_pool(acme: Tenant) -> None:
    Connection.objects.update(learns_in_flight=True)
    assert pools.members(acme.connection_id, "(in flight)") == []
    assert pools.names(acme.connection_id) == []


def test_a_plan_s_terms_are_those_of_its_limit_before_any_override(acme: Tenant) -> None:
    gold = policy("Gold", share_weight=3, share_floor=20, share_ceiling=50, share_class="bulk")
    compiled = compile_policy(gold, gold.limits.all())
    half = OverrideSpec(1, None, "pool", "factor", 0.5, None, 0, 100, "")
    plan = build_plan([compiled], overrides=[half], now=50)
    assert plan.limits[0].quota == 50
    assert portion(plan.shared, "pool") == Portion(3, 2000, 5000, ServiceClass.BULK)
    assert portion(plan.shared, "another") == portion(plan.shared, "") == Portion()


def test_a_connection_names_a_limit_that_is_shared_somewhere(acme: Tenant) -> None:
    row = acme.connection
    row.shared, row.shared_like = True, "pool"
    with pytest.raises(ValidationError) as refused:
        row.clean()
    assert refused.value.message_dict["shared"] == [NOTHING]
    row.learns_in_flight = True
    with pytest.raises(ValidationError) as refused:
        row.clean()
    assert list(refused.value.message_dict) == ["shared_like"]
    policy("Gold")
    row.clean()


def test_many_tenants_take_no_more_queries(acme: Tenant, django_assert_max_num_queries: object) -> None:
    Assignment.objects.create(policy=policy("Base"), target="default")
    Tenant.objects.bulk_create(
        Tenant(tenant_id=f"t{number}", name=f"T{number}", connection=acme.connection) for number in range(50)
    )
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        assert len(pools.members(acme.connection_id, "pool")) == 51
