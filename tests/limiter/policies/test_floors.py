"""Floors that add up to more than a shared limit has are refused where they are edited, with the sum."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies import floors
from tenants.models import Tenant
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


def test_the_default_policy_is_not_replaced_by_one_that_promises_too_much(full: QuotaPolicy) -> None:
    gold = QuotaPolicy.objects.create(name="Gold")
    QuotaLimit.objects.create(policy=gold, **{**POOL, "share_floor": 70})
    default = Assignment.objects.get(target="default")
    default.policy = gold
    with pytest.raises(ValidationError, match="add up to 140"):
        default.full_clean()
