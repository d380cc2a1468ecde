"""Revoking a key from a tenant's page: confirmed first, in a person's name, only one's own, and final."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from limiter.models import AuditEntry
from tenants.models import ApiKey, Tenant
from tests.people import browser, member

pytestmark = pytest.mark.django_db
URL = "/dashboard/api/actions/keys/"


@pytest.fixture
def key(acme: Tenant) -> ApiKey:
    return ApiKey.objects.issue(name="IVR", tenant=acme)[0]


def post(client: Client, key: ApiKey, /, **changes: Any) -> Any:
    asked = {"tenant": "acme", "key": key.prefix, "reason": "leaked", **changes}
    return client.post(URL, asked, content_type="application/json")


def is_in_use(key: ApiKey) -> bool:
    return ApiKey.objects.filter(pk=key.pk, revoked_at=None).exists()


def test_a_revocation_is_confirmed_then_done_then_recorded(acme: Tenant, key: ApiKey) -> None:
    ana = browser(member("ana", acme))
    data = post(ana, key).json()["effect"]
    assert "refused with 401" in data and "only key of Acme" in data and "cannot take this back" in data
    assert is_in_use(key)
    done = post(ana, key, confirm=True).json()
    assert "is revoked" in done["done"] and "undo" not in done
    assert not is_in_use(key)
    entry = AuditEntry.objects.get(kind="key.revoked")
    assert (entry.tenant_id, entry.actor, entry.payload["reason"]) == ("acme", "ana", "leaked")


@pytest.mark.parametrize("right", ["revoke_apikey", "change_apikey"])
def test_the_right_to_revoke_or_to_change_a_key_is_needed(acme: Tenant, key: ApiKey, right: str) -> None:
    both = {"revoke_apikey", "change_apikey"}
    assert post(browser(member("ana", acme, without=tuple(both - {right}))), key).status_code == 200
    assert post(browser(member("leaf", acme, without=tuple(both))), key, confirm=True).status_code == 403
    assert is_in_use(key)


def test_a_strangers_key_is_not_to_be_had(acme: Tenant, globex: Tenant, key: ApiKey) -> None:
    gil = browser(member("gil", globex))
    assert post(gil, key, confirm=True).status_code == 403
    assert post(gil, key, tenant="globex", confirm=True).status_code == 400
    platform, _ = ApiKey.objects.issue(name="Platform")
    assert post(browser(member("ana", acme)), platform, confirm=True).status_code == 400
    assert is_in_use(key) and is_in_use(platform)


@pytest.mark.parametrize("wrong", [{"reason": " "}, {"reason": "x" * 256}, {"key": ""}, {"key": "\0"}, {"key": [1]}])
def test_a_revocation_of_no_such_key_is_refused(acme: Tenant, key: ApiKey, wrong: dict[str, Any]) -> None:
    response = post(browser(member("ana", acme)), key, **wrong, confirm=True)
    assert response.status_code == 400 and response.json()["detail"]
    assert is_in_use(key)


def test_the_page_offers_what_a_person_may_do(acme: Tenant, key: ApiKey) -> None:
    page = browser(member("ana", acme)).get("/dashboard/tenants/acme/").content
    assert b"Revoke a key" in page and b"Reset a counter" in page and key.prefix.encode() in page
    assert b"/admin/limiter/export/" in page
    hands = ("revoke_apikey", "change_apikey", "reset_counter", "add_override", "add_export")
    page = browser(member("leaf", acme, without=hands)).get("/dashboard/tenants/acme/").content
    assert b"Revoke a key" not in page and b"Reset a counter" not in page and key.prefix.encode() not in page
    assert b"/admin/limiter/export/" not in page
