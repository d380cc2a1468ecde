"""``/api/connections``: secrets go in and never come out."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from quota_platform.base import secrets
from tenants.models import Connection
from tests.api_client import ANY, editor, errors

CANARY = "canary-4711-secret"
NEW: dict[str, Any] = {
    "name": "cxone-na1",
    "base_url": "https://api-na1.niceincontact.com",
    "client_id": "quota",
    "client_secret": CANARY,
}


def test_a_secret_is_sealed_and_appears_in_no_response(db: None, caplog: pytest.LogCaptureFixture) -> None:
    api = editor()
    caplog.set_level(logging.DEBUG)
    responses = [
        api.post("/api/connections/", NEW),
        api.get("/api/connections/"),
        api.get("/api/connections/cxone-na1/"),
        api.options("/api/connections/cxone-na1/"),
        api.patch("/api/connections/cxone-na1/", {"access_key_secret": CANARY + "-2"}),
        api.put("/api/connections/cxone-na1/", {**NEW, "base_url": "http://10.0.0.1"}, headers=ANY),
        api.post("/api/connections/", NEW),
        api.post("/api/connections/", {**NEW, "client_secret": CANARY * 500}),
    ]
    assert [response.status_code for response in responses] == [201, 200, 200, 200, 200, 400, 400, 400]
    row = Connection.objects.get()
    for response in responses:
        assert CANARY not in response.content.decode()
        assert row.client_secret_sealed not in response.content.decode()
    assert CANARY not in caplog.text
    assert not any(CANARY in str(vars(record)) for record in Connection.history.all())
    assert secrets.unseal(row.client_secret_sealed, purpose=row.sealed_for("client_secret")) == CANARY
    assert secrets.unseal(row.access_key_secret_sealed, purpose=f"connection:{row.uid}:access_key_secret")


@pytest.mark.parametrize("field", ["base_url", "token_url", "issuer_url"])
def test_a_secret_does_not_follow_an_address_to_another_host(db: None, field: str) -> None:
    api = editor()
    api.post("/api/connections/", NEW)
    change = {field: "https://api.example.com", "allowed_host_suffixes": "example.com,niceincontact.com"}
    refused = api.patch("/api/connections/cxone-na1/", change)
    assert refused.status_code == 400
    assert list(errors(refused)) == [field]
    assert api.patch("/api/connections/cxone-na1/", {**change, "client_secret": CANARY}).status_code == 200


def test_a_response_shows_whether_a_secret_is_stored(db: None) -> None:
    made = editor().post("/api/connections/", NEW).json()
    assert (made["client_secret_set"], made["access_key_secret_set"]) == (True, False)
    assert "client_secret" not in made


def test_a_connection_without_its_secret_is_refused_by_the_field_s_name(db: None) -> None:
    refused = editor().post("/api/connections/", {k: v for k, v in NEW.items() if k != "client_secret"})
    assert refused.status_code == 400
    assert "needs the client secret, and none is stored" in errors(refused)["client_secret"][0]
    assert not Connection.objects.exists()


def test_one_that_lacks_a_secret_from_before_says_so_and_takes_other_edits(db: None) -> None:
    Connection.objects.create(name="old", base_url=NEW["base_url"], client_id="quota")
    api = editor()
    changed = api.patch("/api/connections/old/", {"max_retries": 1})
    assert (changed.status_code, changed.json()["missing"]) == (200, ["client_secret"])
    completed = api.patch("/api/connections/old/", {"client_secret": CANARY})
    assert (completed.status_code, completed.json()["missing"]) == (200, [])


def test_a_secret_left_out_stays(db: None) -> None:
    api = editor()
    api.post("/api/connections/", NEW)
    sealed = Connection.objects.get().client_secret_sealed
    api.patch("/api/connections/cxone-na1/", {"client_id": "other"})
    kept = {key: value for key, value in NEW.items() if key != "client_secret"}
    assert api.put("/api/connections/cxone-na1/", kept, headers=ANY).status_code == 200
    assert Connection.objects.get().client_secret_sealed == sealed


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"base_url": "http://api-na1.niceincontact.com"}, "base_url"),
        ({"base_url": "https://example.com"}, "base_url"),
        ({"base_url": "https://169.254.169.254/"}, "base_url"),
        ({"token_url": "https://user:pw@api-na1.niceincontact.com"}, "token_url"),
        ({"preset": "other"}, "preset"),
        ({"preset": "cxone", "access_key_id": "", "access_key_secret": CANARY}, "access_key_id"),
        ({"preset": "cxone", "access_key_id": "KEYID===="}, "access_key_secret"),
        ({"client_id": ""}, "client_id"),
        ({"token_refresh_skew_s": -1}, "token_refresh_skew_s"),
        ({"total_deadline_s": 1e9}, "total_deadline_s"),
        ({"total_deadline_s": "nan"}, "total_deadline_s"),
        ({"total_deadline_s": "1e999"}, "total_deadline_s"),
        ({"max_response_bytes": 0}, "max_response_bytes"),
        ({"max_response_bytes": 10**40}, "max_response_bytes"),
        ({"token_extra_params": {"client_secret": "x"}}, "token_extra_params"),
        ({"token_extra_params": [1]}, "token_extra_params"),
        ({"client_secret": ""}, "client_secret"),
        ({"client_secret": "nul\0"}, "client_secret"),
        ({"client_secret_set": True}, "client_secret_set"),
        ({"client_secret_sealed": "v1:x"}, "client_secret_sealed"),
        ({"name": "sandbox"}, "name"),
        ({"shared": True}, "shared"),
        ({"shared": True, "learns_in_flight": True, "shared_like": "nothing"}, "shared_like"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_saved(connection: Connection, change: dict[str, Any], field: str) -> None:
    assert list(errors(editor().post("/api/connections/", {**NEW, **change}))) == [field]
    assert Connection.objects.count() == 1


def test_a_list_costs_the_same_queries_however_long(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = editor()
    for wanted in (3, 30):
        while Connection.objects.count() < wanted:
            Connection.objects.create(
                name=f"c{Connection.objects.count()}", base_url="https://api.niceincontact.com", client_id="x"
            )
        with django_assert_num_queries(5):
            assert len(api.get("/api/connections/").json()["results"]) == wanted
