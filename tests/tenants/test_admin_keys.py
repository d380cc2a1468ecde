"""API keys in the admin: the token is only in the response that creates it; revoking needs a confirmation."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tenants import credentials
from tenants.models import ApiKey, Tenant
from tests.filled_form import as_seen, filled_form
from tests.unrendered import errors

pytestmark = pytest.mark.django_db
LIST, ADD, REVOKE = (f"/admin/tenants/apikey/{tail}" for tail in ("", "add/", "revoke/"))
TOKEN = re.compile(r"qk_[a-z0-9]{12}_[A-Za-z0-9_-]{43}[A-Za-z0-9]{12}")


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    return client


EMPTY: dict[str, Any] = {"name": "IVR", "expires_at_0": "", "expires_at_1": "", "max_class": "critical"}


def issue(client: Client, **fields: Any) -> Any:
    return client.post(ADD, EMPTY | fields)


def token_in(response: Any) -> str:
    assert response.status_code == 200
    found = set(TOKEN.findall(response.content.decode()))
    assert len(found) == 1
    return str(found.pop())


def everything_stored() -> str:
    """Every text and JSON of every row of the database, sessions decoded."""
    texts = [str(session.get_decoded()) for session in Session.objects.all()]
    for model in apps.get_models():
        names = [f.attname for f in model._meta.concrete_fields if isinstance(f, models.CharField | models.TextField)]
        texts += [str(row) for row in model._default_manager.values_list(*names or ["pk"])]
    return "\n".join(texts)


def test_a_new_key_s_token_is_shown_once_and_kept_nowhere(
    root: Client, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    response = issue(root, tenant=acme.pk)
    token = token_in(response)
    key = ApiKey.objects.get()
    assert key.max_class == "critical"
    assert (key.tenant, key.created_by, key.digest) == (acme, "root", credentials.digest(token))
    assert "no-store" in response["Cache-Control"]
    assert token not in everything_stored()
    assert token not in caplog.text
    assert token not in str(dict(response.cookies))
    later = [LIST, f"{LIST}{key.pk}/change/", f"{LIST}{key.pk}/history/", f"/admin/tenants/tenant/{acme.pk}/change/"]
    assert not any(TOKEN.search(root.get(url).content.decode()) for url in [*later, reverse("admin:index")])


def test_a_platform_key_acts_for_the_tenants_it_lists(root: Client, acme: Tenant, globex: Tenant) -> None:
    token_in(issue(root, acts_for=[acme.pk, globex.pk]))
    key = ApiKey.objects.get()
    assert key.is_platform
    assert set(key.acts_for.all()) == {acme, globex}


def test_the_tenant_s_page_leads_to_a_new_key_for_it(root: Client, acme: Tenant) -> None:
    response = root.get(f"/admin/tenants/tenant/{acme.pk}/issue-key/", follow=True)
    assert response.context["adminform"].form.initial["tenant"] == str(acme.pk)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "acts_for"),
        ({"tenant": "acme", "acts_for": ["acme"]}, "acts_for"),
        ({"tenant": "acme", "name": ""}, "name"),
        ({"tenant": "acme", "name": "x" * 81}, "name"),
        ({"tenant": "999999"}, "tenant"),
        ({"acts_for": ["999999"]}, "acts_for"),
        ({"acts_for": ["x"]}, "acts_for"),
        ({"tenant": "acme", "expires_at_0": "2001-01-01", "expires_at_1": "00:00"}, "expires_at"),
        ({"tenant": "acme", "expires_at_0": "never", "expires_at_1": "00:00"}, "expires_at"),
    ],
)
def test_wrong_input_is_reported_at_its_field_and_creates_no_key(
    root: Client, acme: Tenant, fields: dict[str, Any], wrong: str
) -> None:
    text = {name: acme.pk if value == "acme" else value for name, value in fields.items() if name != "acts_for"}
    listed = {"acts_for": [acme.pk if value == "acme" else value for value in fields.get("acts_for", [])]}
    assert wrong in errors(root, ADD, EMPTY | text | listed)
    assert not ApiKey.objects.exists()


def test_a_new_key_whose_end_has_passed_needs_a_later_one(root: Client, acme: Tenant) -> None:
    response = issue(root, tenant=acme.pk, expires_at_0="2001-01-01", expires_at_1="00:00")
    assert response.context["adminform"].form.errors["expires_at"] == ["This moment has passed; choose a later one."]


def test_only_its_name_end_and_class_can_be_changed(root: Client, acme: Tenant, globex: Tenant) -> None:
    key, _ = ApiKey.objects.issue(name="IVR", tenant=acme)
    page = f"{LIST}{key.pk}/change/"
    ends = {"expires_at_0": "2099-01-01", "expires_at_1": "00:00"}
    data = {"name": "IVR 2", "tenant": globex.pk, "prefix": "x", "max_class": "bulk", **ends}
    assert root.post(page, data | as_seen(root, page)).status_code == 302
    changed = ApiKey.objects.get()
    assert (changed.name, changed.tenant, changed.prefix, changed.digest) == ("IVR 2", acme, key.prefix, key.digest)
    assert changed.expires_at is not None
    assert changed.max_class == "bulk"


# Revoking.


def test_revoking_asks_before_it_does(root: Client, acme: Tenant) -> None:
    key, _ = ApiKey.objects.issue(name="IVR", tenant=acme)
    asked = root.get(f"{LIST}{key.pk}/ask-revoke/", follow=True)
    assert "Revoke 1 key?" in asked.content.decode() and str(key) in asked.content.decode()
    assert ApiKey.objects.get().revoked_at is None

    assert (
        root.post(REVOKE, {"key": [key.pk], **filled_form(asked.content)})["Location"]
        == f"/admin/tenants/tenant/{acme.pk}/change/"
    )
    assert ApiKey.objects.get().revoked_at is not None


def test_several_keys_are_revoked_from_the_list(root: Client, acme: Tenant) -> None:
    keys = [ApiKey.objects.issue(name=f"IVR {i}", tenant=acme)[0] for i in range(3)]
    chosen = {"action": "revoke_selected", "_selected_action": [key.pk for key in keys[:2]]}
    asked = root.post(LIST, chosen, follow=True)
    assert "Revoke 2 keys?" in asked.content.decode()
    root.post(REVOKE, {**filled_form(asked.content), "key": [key.pk for key in keys[:2]]})
    assert [key.revoked_at is not None for key in ApiKey.objects.order_by("pk")] == [True, True, False]


@pytest.mark.parametrize("chosen", [[], ["x"], ["9" * 30], ["999999"], ["%00"]])
def test_revoking_without_a_key_in_use_reports_that(root: Client, chosen: list[str]) -> None:
    response = root.get(REVOKE, {"key": chosen}, follow=True)
    assert b"No key that is still in use was chosen." in response.content


def test_a_revoked_key_cannot_be_edited_revoked_again_or_brought_back(root: Client, acme: Tenant) -> None:
    key, _ = ApiKey.objects.issue(name="IVR", tenant=acme)
    unrevoked = key.history.latest().history_id
    root.post(REVOKE, {"key": [key.pk], **as_seen(root, f"{REVOKE}?key={key.pk}")})
    revoked_at = ApiKey.objects.get().revoked_at
    page = f"{LIST}{key.pk}/change/"
    root.post(page, {"name": "alive", "expires_at_0": "", "expires_at_1": "", **as_seen(root, page)})
    root.post(REVOKE, {"key": [key.pk]})
    back = root.post(f"{LIST}{key.pk}/history/{unrevoked}/", {"name": "IVR"})
    assert back.status_code == 403
    assert (ApiKey.objects.get().name, ApiKey.objects.get().revoked_at) == ("IVR", revoked_at)


def test_the_right_to_revoke_is_enough_to_revoke(acme: Tenant) -> None:
    key, _ = ApiKey.objects.issue(name="IVR", tenant=acme)
    person = User.objects.create_user("rita", is_staff=True)
    wanted = ("view_apikey", "view_tenant", "revoke_apikey", "see_every_tenant")
    person.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client = Client()
    client.force_login(person)
    assert client.post(REVOKE, {"key": key.pk, **as_seen(client, f"{REVOKE}?key={key.pk}")}).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert client.post(f"{LIST}{key.pk}/change/", {"name": "Mine"}).status_code == 403


def test_a_person_who_may_only_view_can_neither_create_nor_revoke_a_key(acme: Tenant) -> None:
    key, _ = ApiKey.objects.issue(name="IVR", tenant=acme)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_apikey", "view_tenant"]))
    client = Client()
    client.force_login(viewer)
    assert issue(client, tenant=acme.pk).status_code == 403
    assert client.get(REVOKE, {"key": [key.pk]}).status_code == 403
    assert client.post(REVOKE, {"key": [key.pk]}).status_code == 403
    assert client.get(f"/admin/tenants/tenant/{acme.pk}/issue-key/").status_code == 403
    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize("state", ["active", "expired", "revoked"])
def test_the_list_filters_by_state(root: Client, acme: Tenant, state: str) -> None:
    for name, end in (("active", None), ("expired", timezone.now() - timedelta(days=1)), ("revoked", None)):
        key, _ = ApiKey.objects.issue(name=name, tenant=acme, expires_at=end)
        if name == "revoked":
            key.revoke()
    listed = root.get(LIST, {"state": state}).context["cl"].result_list
    assert [key.name for key in listed] == [state]


def test_the_list_filters_platform_keys(root: Client, acme: Tenant) -> None:
    ApiKey.objects.issue(name="own", tenant=acme)
    ApiKey.objects.issue(name="fleet")[0].acts_for.add(acme)
    assert [key.name for key in root.get(LIST, {"kind": "platform"}).context["cl"].result_list] == ["fleet"]
