"""``/api/actions``: what tenants may invoke."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from tenants.models import Action, Tenant
from tests.api_client import editor, errors

NEW: dict[str, Any] = {"tenant": "acme", "action_id": "createTicket"}


def test_an_action_is_made_read_changed_and_deleted(acme: Tenant) -> None:
    api = editor()
    made = api.post("/api/actions/", {**NEW, "cost": 2, "success_statuses": [200, 202]})
    assert made.status_code == 201
    path = f"/api/actions/{made.json()['id']}/"
    assert api.get(path).json() == made.json()
    assert made.json()["success_statuses"] == [200, 202]
    assert api.patch(path, {"enabled": False}).json()["enabled"] is False
    assert api.delete(path).status_code == 204
    assert list(Action.objects.values_list("action_id", flat=True)) == ["lookupOrder"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tenant": "nobody"}, "tenant"),
        ({"action_id": "a/b"}, "action_id"),
        ({"action_id": "lookupOrder"}, "action_id"),
        ({"cost": 0}, "cost"),
        ({"cost": -5}, "cost"),
        ({"cost": 10**30}, "cost"),
        ({"cost": 1.5}, "cost"),
        ({"cost_from": "messages"}, "cost_from"),
        ({"cost_from": "/a~"}, "cost_from"),
        ({"min_cost": 0}, "min_cost"),
        ({"max_cost": 1001}, "max_cost"),
        ({"min_cost": 9, "max_cost": 8}, "max_cost"),
        ({"cost_without": 0}, "cost_without"),
        ({"failure_at": "/a", "failure_when": "none_of"}, "failure_values"),
        ({"failure_values": {"a": 1}}, "failure_values"),
        ({"failure_counts_as": "503"}, "failure_counts_as"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"kind": "rest", "path_template": ""}, "path_template"),
        ({"kind": "rest", "path_template": "/../x"}, "path_template"),
        ({"kind": "signal"}, "kind"),
        ({"query_template": {"a b": "x"}}, "query_template"),
        ({"query_template": []}, "query_template"),
        ({"param_map": {"a": 1}}, "param_map"),
        ({"success_statuses": [99]}, "success_statuses"),
        ({"success_statuses": "200"}, "success_statuses"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_saved(acme: Tenant, change: dict[str, Any], field: str) -> None:
    assert list(errors(editor().post("/api/actions/", {**NEW, **change}))) == [field]
    assert Action.objects.count() == 1


def test_an_action_stays_with_its_tenant(acme: Tenant, globex: Tenant) -> None:
    action = acme.actions.get()
    assert list(errors(editor().patch(f"/api/actions/{action.pk}/", {"tenant": "globex"}))) == ["tenant"]
    action.refresh_from_db()
    assert action.tenant == acme


def test_a_list_is_filtered_by_tenant(acme: Tenant, globex: Tenant) -> None:
    rows = editor().get("/api/actions/?tenant=globex").json()["results"]
    assert [(row["tenant"], row["action_id"]) for row in rows] == [("globex", "createCase")]


def test_a_list_costs_the_same_queries_however_long(
    acme: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = editor()
    for wanted in (3, 30):
        while Action.objects.count() < wanted:
            Action.objects.create(tenant=acme, action_id=f"a{Action.objects.count()}")
        with django_assert_num_queries(5):
            assert len(api.get("/api/actions/").json()["results"]) == wanted
