"""``/api/assignments``: one policy for everyone, a tenant or an action."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from limiter.models import Assignment, QuotaPolicy
from tenants.models import Action, Tenant
from tests.api_client import editor, errors


def test_an_assignment_is_made_changed_and_deleted(acme: Tenant, base_policy: QuotaPolicy) -> None:
    api = editor()
    made = api.post("/api/assignments/", {"policy": "Base", "target": "action", "action": "acme/lookupOrder"})
    assert made.status_code == 201, made.content
    path = f"/api/assignments/{made.json()['id']}/"
    assert api.get(path).json() == made.json()
    changed = api.patch(path, {"target": "tenant", "tenant": "acme", "action": None, "reason": "wider"})
    assert changed.json()["tenant"] == "acme"
    assert Assignment.history.first().history_change_reason == "wider"
    assert api.delete(path).status_code == 204
    assert Assignment.objects.get().target == "default"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"policy": "None such", "target": "tenant", "tenant": "acme"}, "policy"),
        ({"policy": "Base", "target": "galaxy"}, "target"),
        ({"policy": "Base", "target": "default"}, "target"),
        ({"policy": "Base", "target": "tenant"}, "tenant"),
        ({"policy": "Base", "target": "tenant", "tenant": "nobody"}, "tenant"),
        ({"policy": "Base", "target": "tenant", "tenant": "globex"}, "tenant"),
        ({"policy": "Base", "target": "action", "action": "lookupOrder"}, "action"),
        ({"policy": "Base", "target": "action", "action": "acme/nothing"}, "action"),
        ({"policy": "Base", "target": "action", "action": "globex/lookupOrder"}, "action"),
        ({"policy": "Base", "target": "action", "action": ["acme/lookupOrder"]}, "action"),
        ({"policy": "Base", "target": "action", "action": "acme/lookupOrder", "tenant": "acme"}, "tenant"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_saved(
    acme: Tenant, globex: Tenant, base_policy: QuotaPolicy, body: dict[str, Any], field: str
) -> None:
    Assignment.objects.create(policy=base_policy, target="tenant", tenant=globex)
    assert field in errors(editor().post("/api/assignments/", body))
    assert Assignment.objects.count() == 2


def test_a_list_is_filtered_by_tenant_or_action(acme: Tenant, globex: Tenant, base_policy: QuotaPolicy) -> None:
    Assignment.objects.create(policy=base_policy, target="tenant", tenant=globex)
    api = editor()
    assert [row["tenant"] for row in api.get("/api/assignments/?tenant=globex").json()["results"]] == ["globex"]
    assert api.get("/api/assignments/?target=action").json()["count"] == 0
    assert api.get("/api/assignments/?policy=Base").json()["count"] == 2


def test_a_list_costs_the_same_queries_however_long(
    acme: Tenant, base_policy: QuotaPolicy, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = editor()
    for wanted in (3, 30):
        while Assignment.objects.count() < wanted:
            action = Action.objects.create(tenant=acme, action_id=f"a{Action.objects.count()}")
            Assignment.objects.create(policy=base_policy, target="action", action=action)
        with django_assert_num_queries(5):
            assert len(api.get("/api/assignments/").json()["results"]) == wanted
