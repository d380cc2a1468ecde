"""Assignments in the admin: one policy for each; faults stand at their field."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from limiter.models import Assignment, QuotaPolicy
from tenants.models import Action, Tenant

pytestmark = pytest.mark.django_db
ADD = "/admin/limiter/assignment/add/"


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    return client


@pytest.fixture
def gold(db: None) -> QuotaPolicy:
    return QuotaPolicy.objects.create(name="Gold")


def complaints(response: Any) -> list[str]:
    assert response.status_code == 200, "the form was accepted"
    return list(response.context["adminform"].form.errors)


def test_each_target_takes_what_it_names(root: Client, gold: QuotaPolicy, acme: Tenant) -> None:
    action = Action.objects.get(tenant=acme)
    for target, names in (("default", {}), ("tenant", {"tenant": acme.pk}), ("action", {"action": action.pk})):
        assert root.post(ADD, {"policy": gold.pk, "target": target, **names}).status_code == 302
    assert sorted(map(str, Assignment.objects.all())) == ["Gold → acme", "Gold → acme/lookupOrder", "Gold → everyone"]


@pytest.mark.parametrize(
    ("target", "wrong"),
    [
        ({"target": "tenant"}, "tenant"),
        ({"target": "action"}, "action"),
        ({"target": "default", "tenant": "acme"}, "tenant"),
        ({"target": "tenant", "tenant": "acme", "action": "acme"}, "action"),
        ({"target": "tenant", "tenant": "999999"}, "tenant"),
        ({"target": "tenant", "tenant": "x"}, "tenant"),
        ({"target": "planet"}, "target"),
        ({"target": "default", "policy": ""}, "policy"),
    ],
)
def test_a_target_that_does_not_fit_is_reported_at_its_field(
    root: Client, gold: QuotaPolicy, acme: Tenant, target: dict[str, str], wrong: str
) -> None:
    ids = {"tenant": acme.pk, "action": Action.objects.get(tenant=acme).pk}
    data = {name: ids[name] if value == "acme" else value for name, value in target.items()}
    assert wrong in complaints(root.post(ADD, {"policy": gold.pk, **data}))
    assert not Assignment.objects.exists()


@pytest.mark.parametrize("target", ["default", "tenant", "action"])
def test_a_second_policy_for_the_same_is_refused(
    root: Client, gold: QuotaPolicy, base_policy: QuotaPolicy, acme: Tenant, target: str
) -> None:
    names = {"default": {}, "tenant": {"tenant": acme.pk}, "action": {"action": Action.objects.get(tenant=acme).pk}}
    if target != "default":
        root.post(ADD, {"policy": base_policy.pk, "target": target, **names[target]})
    before = Assignment.objects.count()
    response = root.post(ADD, {"policy": gold.pk, "target": target, **names[target]})
    assert complaints(response) == [target if target != "default" else "target"]
    assert b"has a policy already (Base); change that assignment instead" in response.content
    assert Assignment.objects.count() == before


def test_the_form_says_who_wins(root: Client) -> None:
    assert b"A limit with the name of an earlier one takes its place" in root.get(ADD).content
