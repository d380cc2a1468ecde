"""``/api/overrides``: temporary changes with a reason, an end and an author."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from limiter.models import Override
from tenants.models import Tenant
from tests.api_client import editor, errors

NEW: dict[str, Any] = {
    "tenant": "acme",
    "effect": "factor",
    "factor": 2,
    "starts_at": "2030-05-02T12:00:00Z",
    "ends_at": "2030-05-02T18:00:00Z",
    "reason": "campaign",
}


def test_an_override_is_made_in_the_name_of_its_author_ended_early_and_deleted(acme: Tenant) -> None:
    made = editor("ana").post("/api/overrides/", {**NEW, "action": "acme/lookupOrder"})
    assert made.status_code == 201, made.content
    assert made.json()["created_by"] == "ana"
    assert made.json()["action"] == "acme/lookupOrder"
    path = f"/api/overrides/{made.json()['id']}/"
    other = editor("eve")
    ended = other.patch(path, {"ends_at": "2030-05-02T13:00:00Z"}, headers={"X-Change-Reason": "enough"})
    assert ended.json()["ends_at"] == "2030-05-02T13:00:00Z"
    assert ended.json()["created_by"] == "ana"
    records = Override.history.order_by("history_id")
    assert [(r.history_user.username, r.history_change_reason) for r in records] == [
        ("ana", "campaign"),
        ("eve", "enough"),
    ]
    assert other.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tenant": "nobody"}, "tenant"),
        ({"action": "globex/createCase"}, "action"),
        ({"action": "acme/nothing"}, "action"),
        ({"factor": -2}, "factor"),
        ({"factor": 1000}, "factor"),
        ({"factor": "inf"}, "factor"),
        ({"factor": None}, "factor"),
        ({"quota": 5}, "quota"),
        ({"effect": "quota", "factor": None, "quota": 5}, "limit_name"),
        ({"effect": "quota", "factor": None, "quota": 0, "limit_name": "minute"}, "quota"),
        ({"effect": "stop"}, "effect"),
        ({"limit_name": "NOT A NAME"}, "limit_name"),
        ({"ends_at": "2030-05-02T12:00:00Z"}, "ends_at"),
        ({"ends_at": "never"}, "ends_at"),
        ({"ends_at": None}, "ends_at"),
        ({"reason": ""}, "reason"),
        ({"created_by": "root"}, "created_by"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_saved(
    acme: Tenant, globex: Tenant, change: dict[str, Any], field: str
) -> None:
    assert field in errors(editor().post("/api/overrides/", {**NEW, **change}))
    assert not Override.objects.exists()


def test_a_list_is_filtered_by_tenant_and_time(acme: Tenant, globex: Tenant) -> None:
    api = editor()
    api.post("/api/overrides/", NEW)

    def count(query: str) -> int:
        found: int = api.get(f"/api/overrides/?{query}").json()["count"]
        return found

    assert count("tenant=acme") == count("in_force_at=2030-05-02T12:00:00Z") == 1
    assert count("tenant=globex") == count("in_force_at=2030-05-02T18:00:00Z") == 0
    assert count("ends_after=2030-05-02T17:00:00Z") == 1


def test_a_list_costs_the_same_queries_however_long(
    acme: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = editor()
    action = acme.actions.get()
    for wanted in (3, 30):
        while Override.objects.count() < wanted:
            Override.objects.create(
                tenant=acme, action=action, effect="shadow", reason="x", ends_at="2099-01-01T00:00:00Z"
            )
        with django_assert_num_queries(5):
            assert len(api.get("/api/overrides/").json()["results"]) == wanted
