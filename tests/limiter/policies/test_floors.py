"""Floors that add up to more than a shared limit has are refused where they are edited, with the sum."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies import floors
from tenants.models import Action, Connection, Tenant
from tests.api_client import ANY, editor, errors

pytestmark = pytest.mark.django_db
POOL: dict[str, Any] = {
    "name": "pool",
    "quota": 100,
    "window_seconds": 10,
    "counted_per": "connection",
    "shared": True,
    "share_floor": 50,
}


@pytest.fixture
def everyone(acme: Tenant, globex: Tenant) -> QuotaPolicy:
    """Two tenants of one connection under one policy."""
    policy = QuotaPolicy.objects.create(name="Everyone")
    Assignment.objects.create(policy=policy, target="default")
    return policy


def test_floors_that_fill_the_limit_are_sound(everyone: QuotaPolicy) -> None:
    assert list(floors.faults(everyone, [QuotaLimit(policy=everyone, **POOL)])) == []


def test_floors_above_the_limit_are_refused_with_the_sum(everyone: QuotaPolicy) -> None:
    line = QuotaLimit(policy=everyone, **{**POOL, "share_floor": 51})
    ((found, remedy),) = floors.faults(everyone, [line])
    assert found is line
    assert "add up to 102" in remedy and "has 100" in remedy


def test_floors_of_another_policy_count_too(everyone: QuotaPolicy, globex: Tenant) -> None:
    gold = QuotaPolicy.objects.create(name="Gold")
    Assignment.objects.create(policy=gold, target="tenant", tenant=globex)
    QuotaLimit.objects.create(policy=everyone, **{**POOL, "share_floor": 40})
    ((_, remedy),) = floors.faults(gold, [QuotaLimit(policy=gold, **{**POOL, "share_floor": 70})])
    assert "add up to 110" in remedy


def test_a_policy_that_says_nothing_of_the_limit_leaves_everyone_s(everyone: QuotaPolicy, globex: Tenant) -> None:
    other = QuotaPolicy.objects.create(name="Other")
    Assignment.objects.create(policy=other, target="tenant", tenant=globex)
    ((_, remedy),) = floors.faults(everyone, [QuotaLimit(policy=everyone, **{**POOL, "share_floor": 60})])
    assert "add up to 120" in remedy


def test_the_api_refuses_them_at_their_field(everyone: QuotaPolicy) -> None:
    response = editor().patch(f"/api/policies/{everyone.pk}/", {"limits": [{**POOL, "share_floor": 60}]}, headers=ANY)
    assert response.status_code == 400
    assert "add up to 120" in str(errors(response))
    assert not QuotaLimit.objects.exists()


def test_the_api_keeps_the_terms_of_a_shared_limit(everyone: QuotaPolicy) -> None:
    terms = {**POOL, "share_weight": 3, "share_ceiling": 80, "share_class": "critical"}
    response = editor().patch(f"/api/policies/{everyone.pk}/", {"limits": [terms]}, headers=ANY)
    assert response.status_code == 200, response.content
    assert response.json()["limits"][0].items() >= terms.items()


def test_a_new_policy_promises_nothing_before_it_is_assigned(acme: Tenant, globex: Tenant) -> None:
    """Neither tenant has a policy of its own, and nobody has given them this one."""
    response = editor().post("/api/policies/", {"name": "New", "limits": [{**POOL, "share_floor": 60}]}, headers=ANY)
    assert response.status_code == 201, response.content
    assert floors.smallest_part(QuotaPolicy(), QuotaLimit(**{**POOL, "share_floor": 0})) == ("", 0, 1.0)


@pytest.fixture
def full(everyone: QuotaPolicy) -> QuotaPolicy:
    """The two tenants' floors are all that the limit has."""
    QuotaLimit.objects.create(policy=everyone, **POOL)
    return everyone


def test_a_tenant_that_joins_is_refused_with_the_sum(full: QuotaPolicy, acme: Tenant) -> None:
    body = {"tenant_id": "late", "name": "Late", "connection": acme.connection.name}
    response = editor().post("/api/tenants/", body, headers=ANY)
    assert response.status_code == 400
    assert "add up to 150" in str(errors(response)["connection"])


def test_a_tenant_that_stays_can_be_edited_though_floors_are_above_the_limit(full: QuotaPolicy, acme: Tenant) -> None:
    QuotaLimit.objects.update(quota=60)
    acme.name = "Acme, Inc."
    acme.full_clean()


def test_a_tenant_whose_policy_promises_nothing_may_join(full: QuotaPolicy, acme: Tenant) -> None:
    plain = QuotaPolicy.objects.create(name="Plain")
    QuotaLimit.objects.create(policy=plain, **{**POOL, "share_floor": 0})
    Assignment.objects.filter(target="default").update(policy=plain)
    Tenant(tenant_id="late", name="Late", connection=acme.connection).full_clean()


def test_a_policy_is_not_assigned_whose_floors_are_too_much(full: QuotaPolicy, globex: Tenant) -> None:
    gold = QuotaPolicy.objects.create(name="Gold")
    QuotaLimit.objects.create(policy=gold, **{**POOL, "share_floor": 70})
    body = {"policy": "Gold", "target": "tenant", "tenant": "globex"}
    response = editor().post("/api/assignments/", body, headers=ANY)
    assert response.status_code == 400
    assert "add up to 120" in str(errors(response)["policy"])


@pytest.fixture
def urgent(acme: Tenant) -> QuotaPolicy:
    """Acme's action has a floor of its own, of critical calls."""
    policy = QuotaPolicy.objects.create(name="Urgent")
    QuotaLimit.objects.create(policy=policy, **{**POOL, "share_floor": 30, "share_class": "critical"})
    Assignment.objects.create(policy=policy, target="action", action=Action.objects.get(tenant=acme))
    return policy


def test_floors_of_actions_count_beside_those_of_their_tenants(everyone: QuotaPolicy, urgent: QuotaPolicy) -> None:
    assert list(floors.faults(everyone, [QuotaLimit(policy=everyone, **{**POOL, "share_floor": 35})])) == []
    ((_, remedy),) = floors.faults(everyone, [QuotaLimit(policy=everyone, **{**POOL, "share_floor": 40})])
    assert "add up to 110" in remedy
    QuotaLimit.objects.create(policy=everyone, **{**POOL, "share_floor": 35})
    ((_, remedy),) = floors.faults(urgent, [QuotaLimit(policy=urgent, **{**POOL, "share_class": "critical"})])
    assert "add up to 120" in remedy


def test_an_action_with_the_terms_of_its_tenant_has_the_same_floor(full: QuotaPolicy, acme: Tenant) -> None:
    same = QuotaPolicy.objects.create(name="Same")
    QuotaLimit.objects.create(policy=same, **POOL)
    Assignment(policy=same, target="action", action=Action.objects.get(tenant=acme)).full_clean()


def test_an_action_is_not_given_a_policy_whose_floor_is_too_much(full: QuotaPolicy, acme: Tenant) -> None:
    urgent = QuotaPolicy.objects.create(name="Urgent")
    QuotaLimit.objects.create(policy=urgent, **{**POOL, "share_floor": 30, "share_class": "critical"})
    body = {"policy": "Urgent", "target": "action", "action": "acme/lookupOrder"}
    response = editor().post("/api/assignments/", body, headers=ANY)
    assert response.status_code == 400, response.json()
    assert "add up to 130" in str(errors(response)["policy"])


def test_a_tenant_that_moves_takes_the_floors_of_its_actions_along(
    everyone: QuotaPolicy, urgent: QuotaPolicy, acme: Tenant
) -> None:
    QuotaLimit.objects.create(policy=everyone, **{**POOL, "share_floor": 35})
    other = Connection.objects.create(name="other", base_url="https://other.example.com")
    Tenant.objects.create(tenant_id="there", name="There", connection=other)
    acme.connection = other
    acme.full_clean()
    QuotaLimit.objects.filter(policy=everyone).update(share_floor=36)
    with pytest.raises(ValidationError, match="add up to 102"):
        acme.full_clean()


def test_a_limit_of_this_name_on_another_connection_is_no_matter(everyone: QuotaPolicy) -> None:
    """Its count is another one, and so are its number and its floors."""
    QuotaLimit.objects.create(policy=everyone, **{**POOL, "share_floor": 30})
    other = Connection.objects.create(name="other", base_url="https://other.example.com")
    tenant = Tenant.objects.create(tenant_id="there", name="There", connection=other)
    small, large = (QuotaPolicy.objects.create(name=name) for name in ("Small", "Large"))
    Assignment.objects.create(policy=small, target="tenant", tenant=tenant)
    line = QuotaLimit(policy=small, **{**POOL, "quota": 20, "share_floor": 20})
    assert list(floors.faults(small, [line])) == [], "60 of 100 there, 20 of 20 here"
    line.save()
    QuotaLimit.objects.create(policy=large, **{**POOL, "share_floor": 50})
    default = Assignment.objects.get(target="default")
    default.policy = large
    default.full_clean()
    line.share_floor = 21
    ((_, remedy),) = floors.faults(small, [line])
    assert "connection other add up to 21, and the limit has 20" in remedy


def test_the_default_policy_is_not_replaced_by_one_that_promises_too_much(full: QuotaPolicy) -> None:
    gold = QuotaPolicy.objects.create(name="Gold")
    QuotaLimit.objects.create(policy=gold, **{**POOL, "share_floor": 70})
    default = Assignment.objects.get(target="default")
    default.policy = gold
    with pytest.raises(ValidationError, match="add up to 140"):
        default.full_clean()
