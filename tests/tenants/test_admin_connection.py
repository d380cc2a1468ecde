"""Connections, actions and tenants in the admin: secrets go in, never out; wrong input is reported at its field."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from quota_platform.base import secrets
from tenants import presets
from tenants.admin.action import APPLIES as ACTION_APPLIES
from tenants.admin.connection import APPLIES as CONNECTION_APPLIES
from tenants.models import Action, Connection, Tenant
from tests import unrendered
from tests.filled_form import filled_form

pytestmark = pytest.mark.django_db
CONNECTIONS, ACTIONS, TENANTS = (f"/admin/tenants/{model}/" for model in ("connection", "action", "tenant"))
SECRET = "canary-new-secret"
BLANK: dict[str, dict[str, Any]] = {}


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    return client


def form(client: Client, url: str, **fields: Any) -> dict[str, Any]:
    return filled_form(client.get(url).content) | fields


def blank(client: Client, url: str, **fields: Any) -> dict[str, Any]:
    """The form of a new row as the page has it; read once."""
    if url not in BLANK:
        BLANK[url] = form(client, url)
    return BLANK[url] | fields


def errors(response: Any) -> list[str]:
    assert response.status_code == 200, "the form was accepted"
    return list(response.context["adminform"].form.errors)


def change(row: Connection | Action | Tenant) -> str:
    return f"/admin/tenants/{row._meta.model_name}/{row.pk}/change/"


# Secrets.


def test_a_secret_does_not_follow_an_address_to_another_host(root: Client, connection: Connection) -> None:
    elsewhere = {"base_url": "https://api.example.com", "is_sandbox": "", "allowed_host_suffixes": "example.com"}
    response = root.post(change(connection), form(root, change(connection), **elsewhere))
    assert errors(response) == ["base_url"]
    assert "Enter the client secret again" in response.content.decode()
    connection.refresh_from_db()
    assert "example" not in connection.base_url
    again = form(root, change(connection), **elsewhere, client_secret=SECRET)
    assert root.post(change(connection), again).status_code == 302


def test_a_path_may_change_without_the_secret(root: Client, connection: Connection) -> None:
    fields = form(root, change(connection), base_url=f"{connection.base_url}/v2")
    assert root.post(change(connection), fields).status_code == 302


@pytest.mark.parametrize(("name", "sealed"), [("client_secret", "client"), ("access_key_secret", "access_key")])
def test_a_new_secret_is_sealed_and_shown_nowhere(
    root: Client, connection: Connection, name: str, sealed: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert root.post(change(connection), form(root, change(connection), **{name: SECRET})).status_code == 302
    connection.refresh_from_db()
    stored = getattr(connection, f"{name}_sealed")
    assert secrets.unseal(stored, purpose=f"connection:{connection.uid}:{sealed}_secret") == SECRET
    pages = [change(connection), f"{CONNECTIONS}{connection.pk}/history/", CONNECTIONS]
    shown = "".join(root.get(page).content.decode() for page in pages)
    history = str(list(Connection.history.values())) + str(list(LogEntry.objects.values()))
    assert SECRET not in shown + history + caplog.text
    assert stored not in shown + history
    assert name.replace("_", " ") in connection.history.latest().history_change_reason


def test_a_blank_secret_keeps_the_one_that_is_set(root: Client, connection: Connection) -> None:
    before = connection.client_secret_sealed
    assert root.post(change(connection), form(root, change(connection), client_id="other")).status_code == 302
    connection.refresh_from_db()
    assert (connection.client_id, connection.client_secret_sealed) == ("other", before)


def test_the_form_says_whether_a_secret_is_set(root: Client, connection: Connection) -> None:
    fields = root.get(change(connection)).context["adminform"].form.fields
    assert fields["client_secret"].help_text.startswith("A secret is set.")
    assert fields["access_key_secret"].help_text == "No secret is set."


def test_a_form_that_fails_does_not_give_the_secret_back(root: Client, connection: Connection) -> None:
    response = root.post(change(connection), form(root, change(connection), name="no good!", client_secret=SECRET))
    assert errors(response) == ["name"]
    assert SECRET.encode() not in response.content


def test_going_back_to_an_earlier_record_keeps_the_secret(root: Client, connection: Connection) -> None:
    first = connection.history.latest().history_id
    root.post(change(connection), form(root, change(connection), client_id="other", client_secret=SECRET))
    connection.refresh_from_db()
    sealed = connection.client_secret_sealed
    url = f"{CONNECTIONS}{connection.pk}/history/{first}/"
    assert root.post(url, form(root, url)).status_code == 302
    connection.refresh_from_db()
    assert (connection.client_id, connection.client_secret_sealed) == ("demo-client", sealed)


def test_a_form_without_the_secret_that_its_preset_needs_names_the_field(root: Client) -> None:
    new = {"name": "unit", "base_url": "https://api-na1.niceincontact.com", "client_id": "id"}
    response = root.post(f"{CONNECTIONS}add/", form(root, f"{CONNECTIONS}add/", **new))
    assert errors(response) == ["client_secret"]
    response = root.post(f"{CONNECTIONS}add/", form(root, f"{CONNECTIONS}add/", **new, client_secret=SECRET))
    assert response.status_code == 302


def test_a_connection_that_lacks_its_secret_from_before_is_shown_as_incomplete_and_can_be_edited(root: Client) -> None:
    row = Connection.objects.create(name="old", base_url="https://api-na1.niceincontact.com", client_id="id")
    assert "incomplete" in root.get(CONNECTIONS).content.decode()
    assert "its preset needs the client secret" in root.get(change(row)).content.decode()
    response = root.post(change(row), form(root, change(row), max_retries="1"), follow=True)
    assert "old is still incomplete: its preset needs the client secret" in response.content.decode()
    row.refresh_from_db()
    assert row.max_retries == 1


# Fields.


def test_each_preset_and_kind_shows_only_what_it_uses() -> None:
    assert {"area", "issuer_url", "access_key_secret"} <= set(CONNECTION_APPLIES["cxone"])
    assert "area" not in CONNECTION_APPLIES["cxone_webaction"]
    assert set(CONNECTION_APPLIES) == set(presets.PRESETS)
    assert ACTION_APPLIES["rest"] == ["method", "path_template", "query_template"]
    assert set(ACTION_APPLIES) == set(presets.KINDS)


def test_every_field_of_a_preset_or_kind_is_in_its_form(root: Client, acme: Tenant) -> None:
    connection = root.get(f"{CONNECTIONS}add/").context["adminform"].form.fields
    assert set().union(*(preset.fields for preset in presets.PRESETS.values())) <= set(connection)
    action = root.get(f"{ACTIONS}add/").context["adminform"].form.fields
    assert set().union(*(kind.fields for kind in presets.KINDS.values())) <= set(action)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"preset": "carrier-pigeon"}, "preset"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "http://169.254.169.254/"}, "base_url"),
        ({"base_url": "https://10.0.0.1"}, "base_url"),
        ({"base_url": "javascript:alert(1)"}, "base_url"),
        ({"base_url": "https://api.evil.example"}, "base_url"),
        ({"client_id": ""}, "client_id"),
        ({"connect_timeout_s": "0"}, "connect_timeout_s"),
        ({"connect_timeout_s": "1e999"}, "connect_timeout_s"),
        ({"max_response_bytes": "-1"}, "max_response_bytes"),
        ({"max_response_bytes": "9" * 30}, "max_response_bytes"),
        ({"max_retries": "11"}, "max_retries"),
        ({"cxone_tenant_id": "x"}, "cxone_tenant_id"),
        ({"client_secret": "x" * 4097}, "client_secret"),
        ({"token_extra_params": "{"}, "token_extra_params"),
        ({"token_extra_params": "[" * 100_000}, "token_extra_params"),
        ({"token_extra_params": '{"a": NaN}'}, "token_extra_params"),
        ({"token_extra_params": '{"a": ' + "9" * 5000 + "}"}, "token_extra_params"),
        ({"token_extra_params": '{"a": "\\u0000"}'}, "token_extra_params"),
        ({"token_extra_params": '{"client_secret": "x"}'}, "token_extra_params"),
        ({"shared": "on"}, "shared"),
        ({"shared": "on", "learns_in_flight": "on", "shared_like": "nothing"}, "shared_like"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_wrong_connection_input_is_reported_at_its_field(root: Client, fields: dict[str, str], wrong: str) -> None:
    right = {"name": "unit", "base_url": "https://api-na1.niceincontact.com", "client_id": "id"}
    add = f"{CONNECTIONS}add/"
    assert wrong in unrendered.errors(root, add, blank(root, add, **right | fields))
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"action_id": ""}, "action_id"),
        ({"action_id": "../x"}, "action_id"),
        ({"action_id": "createCase"}, "__all__"),
        ({"cost": "0"}, "cost"),
        ({"cost": "-1"}, "cost"),
        ({"cost": "9" * 25}, "cost"),
        ({"cost_from": "messages"}, "cost_from"),
        ({"min_cost": "9", "max_cost": "8"}, "max_cost"),
        ({"cost_without": "0"}, "cost_without"),
        ({"failure_at": "error"}, "failure_at"),
        ({"failure_at": "/error", "failure_when": "one_of"}, "failure_values"),
        ({"timeout_ms": "1"}, "timeout_ms"),
        ({"kind": "rest"}, "path_template"),
        ({"kind": "rest", "path_template": "/a/../b"}, "path_template"),
        ({"kind": "rest", "path_template": "//evil.example/"}, "path_template"),
        ({"kind": "script_start"}, "kind"),
        ({"query_template": "[]"}, "query_template"),
        ({"param_map": '{"a": 1}'}, "param_map"),
        ({"success_statuses": "[200, 200]"}, "success_statuses"),
        ({"success_statuses": "[99]"}, "success_statuses"),
        ({"success_statuses": "nonsense"}, "success_statuses"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": "x"}, "tenant"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_wrong_action_input_is_reported_at_its_field(
    root: Client, globex: Tenant, fields: dict[str, str], wrong: str
) -> None:
    right = {"tenant": str(globex.pk), "action_id": "another"}
    add = f"{ACTIONS}add/"
    assert wrong in unrendered.errors(root, add, blank(root, add, **right | fields))
    assert Action.objects.count() == 1


@pytest.mark.parametrize("empty", ["", "   "])
def test_empty_json_boxes_take_the_default(root: Client, globex: Tenant, empty: str) -> None:
    boxes = dict.fromkeys(("query_template", "param_map", "success_statuses"), empty)
    data = form(root, f"{ACTIONS}add/", tenant=str(globex.pk), action_id="another", **boxes)
    assert root.post(f"{ACTIONS}add/", data).status_code == 302
    action = Action.objects.get(action_id="another")
    assert (action.query_template, action.param_map, action.success_statuses) == ({}, [], [])


def test_a_form_of_the_release_before_leaves_its_missing_fields_as_they_come(root: Client, globex: Tenant) -> None:
    data = form(root, f"{ACTIONS}add/", tenant=str(globex.pk), action_id="another", cost_from="/messages")
    missing = ("min_cost", "max_cost", "failure_at", "failure_when", "failure_values", "failure_counts_as")
    of_the_release_before = {name: value for name, value in data.items() if name not in missing}
    assert root.post(f"{ACTIONS}add/", of_the_release_before).status_code == 302
    action = Action.objects.get(action_id="another")
    assert (action.cost_from, action.min_cost, action.max_cost, action.cost_without) == ("/messages", 1, 1000, None)
    rule = action.failure_at, action.failure_when, action.failure_values, action.failure_counts_as
    assert rule == ("", "filled", [], "error")
    page = root.get(change(action), {"payload": '{"messages": [1, 2, 3]}'})
    assert "It costs 3 units." in page.content.decode()


def test_a_connection_in_use_is_not_deleted(root: Client, acme: Tenant) -> None:
    root.post(f"{CONNECTIONS}{acme.connection_id}/delete/", {"post": "yes"})
    assert Connection.objects.filter(pk=acme.connection_id).exists()


def test_a_tenant_is_suspended_and_the_change_is_recorded(root: Client, acme: Tenant) -> None:
    assert root.post(change(acme), form(root, change(acme), status="suspended")).status_code == 302
    latest = acme.history.latest()
    assert (latest.status, latest.history_user.username) == ("suspended", "root")


def test_the_tenant_s_page_lists_its_keys_and_no_other_s(
    root: Client, acme: Tenant, acme_key: str, globex_key: str
) -> None:
    page = root.get(change(acme)).content.decode()
    assert acme_key[:15] in page
    assert globex_key[:15] not in page
