"""``/api/keys``: made and revoked, the token shown once."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from tenants import credentials
from tenants.models import ApiKey, Tenant
from tests.api_client import ANY, as_read, editor, errors, person


def test_the_token_is_in_the_response_that_creates_the_key_and_nowhere_else(acme: Tenant) -> None:
    api = editor("ana")
    made = api.post("/api/keys/", {"name": "IVR", "tenant": "acme", "reason": "go-live"})
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    token = made.json()["token"]
    key = ApiKey.objects.get()
    assert credentials.prefix_of(token) == key.prefix == made.json()["prefix"]
    assert key.digest == credentials.digest(token)
    assert key.created_by == "ana"

    secret = token.rsplit("_", 1)[-1]
    path = f"/api/keys/{key.prefix}/"
    responses = [
        api.get("/api/keys/"),
        api.get(path),
        api.patch(path, {"name": "IVR 2"}),
        api.put(path, {"name": "IVR 3"}, headers=ANY),
        api.post(f"{path}revoke/"),
        api.options(path),
    ]
    for response in responses:
        assert response.status_code == 200
        assert secret not in response.content.decode()
        assert key.digest not in response.content.decode()
        assert "token" not in response.json()
    assert not any(secret in str(vars(record)) for record in ApiKey.history.all())
    assert ApiKey.history.order_by("history_id").first().history_change_reason == "go-live"


def test_the_right_to_revoke_is_enough_to_revoke(acme: Tenant, acme_key: str) -> None:
    path = f"/api/keys/{credentials.prefix_of(acme_key)}/"
    api = person("tenants.revoke_apikey", name="rita")
    assert api.post(f"{path}revoke/").status_code == 200
    assert api.patch(path, {"name": "Mine"}).status_code == 403


def test_a_key_is_revoked_by_a_post_and_keeps_the_first_time(acme: Tenant, acme_key: str) -> None:
    api = editor()
    path = f"/api/keys/{credentials.prefix_of(acme_key)}/revoke/"
    first = api.post(path, headers={"X-Change-Reason": "leaked"})
    assert first.status_code == 200 and first.json()["revoked_at"]
    assert api.post(path).json()["revoked_at"] == first.json()["revoked_at"]
    assert ApiKey.history.order_by("-history_id").first().history_change_reason == "leaked"


def test_revoking_takes_the_right_to_change_not_to_add(acme: Tenant, acme_key: str) -> None:
    path = f"/api/keys/{credentials.prefix_of(acme_key)}/revoke/"
    assert person("tenants.add_apikey", "tenants.view_apikey", name="adder").post(path).status_code == 403
    assert person("tenants.change_apikey", name="changer").post(path).status_code == 200


def test_a_key_is_not_deleted(acme: Tenant, acme_key: str) -> None:
    assert editor().delete(f"/api/keys/{credentials.prefix_of(acme_key)}/").status_code == 405


def test_a_platform_key_names_the_tenants_it_acts_for(acme: Tenant, globex: Tenant) -> None:
    api = editor()
    made = api.post("/api/keys/", {"name": "Gateway", "tenant": None, "acts_for": ["globex", "acme"]})
    assert made.status_code == 201
    assert (made.json()["tenant"], made.json()["acts_for"]) == (None, ["acme", "globex"])
    path = f"/api/keys/{made.json()['prefix']}/"
    assert api.patch(path, {"acts_for": ["acme"]}).status_code == 428
    assert api.patch(path, {"acts_for": ["acme"]}, headers=as_read(api, path)).json()["acts_for"] == ["acme"]
    assert api.patch(path, {"name": "G"}).json()["acts_for"] == ["acme"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tenant": "nobody"}, "tenant"),
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
        ({"acts_for": ["globex"]}, "acts_for"),
        ({"tenant": None, "acts_for": ["nobody"]}, "acts_for"),
        ({"tenant": None, "acts_for": "globex"}, "acts_for"),
        ({"tenant": None, "acts_for": [["globex"]]}, "acts_for"),
        ({"tenant": None, "acts_for": ["nul\0"]}, "acts_for[0]"),
        ({"tenant": None, "acts_for": ["x"] * 1001}, "acts_for"),
        ({"max_class": "royal"}, "max_class"),
        ({"token": "qk_mine"}, "token"),
        ({"prefix": "abcdefghijkl"}, "prefix"),
        ({"digest": "0" * 64}, "digest"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_saved(
    acme: Tenant, globex: Tenant, change: dict[str, Any], field: str
) -> None:
    assert list(errors(editor().post("/api/keys/", {"name": "IVR", "tenant": "acme", **change}))) == [field]
    assert not ApiKey.objects.exists()


def test_a_key_is_made_with_a_highest_class_which_can_be_edited(acme: Tenant) -> None:
    api = editor()
    made = api.post("/api/keys/", {"name": "Reports", "tenant": "acme", "max_class": "bulk"}).json()
    assert ApiKey.objects.get().max_class == made["max_class"] == "bulk"
    path = f"/api/keys/{made['prefix']}/"
    assert api.patch(path, {"max_class": "normal"}).json()["max_class"] == "normal"


def test_a_key_stays_with_its_tenant(acme: Tenant, globex: Tenant, acme_key: str) -> None:
    path = f"/api/keys/{credentials.prefix_of(acme_key)}/"
    api = editor()
    assert list(errors(api.patch(path, {"tenant": "globex"}))) == ["tenant"]
    assert list(errors(api.patch(path, {"tenant": None}))) == ["tenant"]
    assert list(errors(api.patch(path, {"acts_for": ["globex"]}, headers=ANY))) == ["acts_for"]


def test_a_list_is_filtered_by_tenant_kind_and_state(acme: Tenant, globex: Tenant, acme_key: str) -> None:
    api = editor()
    platform, _ = ApiKey.objects.issue(name="Gateway")
    platform.acts_for.set([globex])
    platform.revoke()

    def names(query: str) -> list[str]:
        return [row["name"] for row in api.get(f"/api/keys/?{query}").json()["results"]]

    assert names("tenant=acme") == ["Acme IVR"]
    assert names("platform=true") == names("acts_for=globex") == names("revoked=true") == ["Gateway"]
    assert names("revoked=false") == names("platform=false") == ["Acme IVR"]


def test_a_list_costs_the_same_queries_however_long(
    acme: Tenant, globex: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = editor()
    for wanted in (3, 30):
        while ApiKey.objects.count() < wanted:
            key, _ = ApiKey.objects.issue(name="k")
            key.acts_for.set([acme, globex])
        with django_assert_num_queries(6):
            assert len(api.get("/api/keys/").json()["results"]) == wanted
