"""Every row that the management API changes has a version: read as ETag, asked for in If-Match.

The resources are those the routers know: one that does not keep to this fails here, the next one too.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from rest_framework.test import APIClient

from limiter.models import QuotaPolicy
from quota_platform.base.api.resource import WriteResource
from quota_platform.management_urls import router
from tenants.models import ApiKey, Connection, Tenant
from tests.api_client import errors, signed_in
from tests.rows import MAKE

pytestmark = pytest.mark.django_db
REGISTERED = {prefix: view for prefix, view, _ in router.registry}
WRITTEN: dict[str, Any] = {prefix: view for prefix, view in REGISTERED.items() if issubclass(view, WriteResource)}
OTHER = '"AAAAAAAAAAAAAAAA"'
TOUCHED: dict[type[Model], dict[str, Any]] = {
    ApiKey: {"name": "other"},
    Connection: {"probe_path": "/other"},
    QuotaPolicy: {"description": "other"},
    Tenant: {"notes": "other"},
}
"""The column changed behind the caller's back; elsewhere any text column."""
ADDED_TO = {"team-entries": {"create"}}
"""Rows that are added and never changed, so that nobody's change can be undone."""


@pytest.fixture
def api(admin_user: User, settings: Any) -> APIClient:
    settings.ENV = settings.ENV.model_copy(update={"ALERT_HOOK_HOSTS": ["hooks.example.com"]})
    return signed_in(admin_user)


@pytest.fixture
def row(prefix: str, connection: Connection) -> Any:
    return MAKE[WRITTEN[prefix].queryset.model]()


@pytest.fixture
def path(prefix: str, row: Model) -> str:
    return f"/api/{prefix}/{getattr(row, WRITTEN[prefix].lookup_field)}/"


each = pytest.mark.parametrize("prefix", WRITTEN)


def touch(row: Any) -> None:
    """Change the row past every save, as SQL does, or a release that knows nothing of versions."""
    texts = [f.name for f in row._meta.concrete_fields if f.get_internal_type() == "CharField" and not f.unique]
    free = [name for name in texts if not row._meta.get_field(name).choices]
    change = TOUCHED.get(type(row)) or ({free[0]: "other"} if free else {"policy": put_other_policy()})
    type(row)._base_manager.filter(pk=row.pk).update(**change)


def put_other_policy() -> QuotaPolicy:
    return QuotaPolicy.objects.create(name="Other")


def stored(row: Any) -> Any:
    return type(row)._base_manager.filter(pk=row.pk).values().first()


def writes(api: APIClient, prefix: str, path: str, **headers: Any) -> list[tuple[str, Any]]:
    """Every write that the route knows, sent with these headers."""
    view = WRITTEN[prefix]
    sent = [
        (method, getattr(api, method)(path, {}, headers=headers))
        for method, name in (("patch", "partial_update"), ("put", "update"), ("delete", "destroy"))
        if hasattr(view, name)
    ]
    for extra in view.get_extra_actions():
        if extra.detail and "post" in extra.mapping:
            sent.append((extra.url_path, api.post(f"{path}{extra.url_path}/", {}, headers=headers)))
    return sent


def test_every_registered_resource_that_writes_is_a_guarded_one() -> None:
    writes = {"create", "update", "partial_update", "destroy"}
    unguarded = {name: writes & set(dir(view)) for name, view in REGISTERED.items() if name not in WRITTEN}
    assert {name: found for name, found in unguarded.items() if found} == ADDED_TO


@each
def test_a_row_is_read_with_its_etag_and_not_sent_again_while_it_stays(api: APIClient, path: str, row: Model) -> None:
    read = api.get(path)
    assert read.status_code == 200 and read["ETag"].startswith('"')
    again = api.get(path, headers={"If-None-Match": f"{OTHER}, W/{read['ETag']}"})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", read["ETag"])
    touch(row)
    changed = api.get(path, headers={"If-None-Match": read["ETag"]})
    assert changed.status_code == 200 and changed["ETag"] != read["ETag"]


@each
def test_no_write_goes_through_for_a_row_that_was_changed_meanwhile(
    api: APIClient, prefix: str, path: str, row: Model
) -> None:
    seen = api.get(path)["ETag"]
    touch(row)
    before = stored(row)
    for what, response in writes(api, prefix, path, **{"If-Match": seen}):
        assert response.status_code == 412, (what, response.content)
        assert response["Content-Type"] == "application/problem+json"
    assert stored(row) == before


@each
def test_an_if_match_that_cannot_be_read_is_400(api: APIClient, prefix: str, path: str, row: Model) -> None:
    before = stored(row)
    for _, response in writes(api, prefix, path, **{"If-Match": "nonsense"}):
        assert list(errors(response)) == ["If-Match"]
    assert stored(row) == before


@each
def test_no_write_goes_through_unless_the_row_is_another(api: APIClient, prefix: str, path: str, row: Model) -> None:
    before = stored(row)
    for what, response in writes(api, prefix, path, **{"If-None-Match": "*", "If-Match": "*"}):
        assert response.status_code == 412, (what, response.content)
    assert stored(row) == before


@each
def test_a_put_says_what_it_replaces(api: APIClient, prefix: str, path: str, row: Model) -> None:
    if hasattr(WRITTEN[prefix], "update"):
        response = api.put(path, {})
        assert response.status_code == 428 and "If-Match" in response.json()["detail"]


@each
def test_a_write_of_the_row_as_it_was_read_goes_through_and_returns_the_next_etag(
    api: APIClient, prefix: str, path: str, row: Model
) -> None:
    if not hasattr(WRITTEN[prefix], "partial_update"):
        return
    response = api.patch(path, {}, headers={"If-Match": f"{OTHER}, {api.get(path)['ETag']}"})
    assert response.status_code == 200, response.content
    assert response["ETag"] == api.get(path)["ETag"]


@pytest.mark.parametrize("tags", ['"open', "", '"a" "b"', "*, *", 'w/"a"', "*a", '"a"b', 'W/ "a"', '"a b"'])
def test_malformed_lists_of_tags_are_400(api: APIClient, acme: Tenant, tags: str) -> None:
    for field in ("If-Match", "If-None-Match"):
        assert list(errors(api.get("/api/tenants/acme/", headers={field: tags}))) == [field]


def test_only_strong_tags_match_a_write(api: APIClient, acme: Tenant) -> None:
    path = "/api/tenants/acme/"
    seen = api.get(path)["ETag"]
    statuses = {
        tags: api.patch(path, {}, headers={"If-Match": tags}).status_code
        for tags in (f"W/{seen}", OTHER, f"{OTHER}, W/{seen}", seen, f" {OTHER} ,, {seen} ", "*", " * ")
    }
    assert list(statuses.values()) == [412, 412, 412, 200, 200, 200, 200]
    assert api.patch(path, {}, headers={"If-None-Match": seen}).status_code == 412
    assert api.patch(path, {}, headers={"If-None-Match": OTHER}).status_code == 200


def test_a_secret_that_is_not_shown_is_a_version_all_the_same(api: APIClient, connection: Connection) -> None:
    path = "/api/connections/sandbox/"
    seen = api.get(path)
    connection.set_client_secret("another-secret")
    connection.save()
    now = api.get(path)
    assert now.json() == seen.json() and now["ETag"] != seen["ETag"]
    assert api.patch(path, {"client_secret": "mine"}, headers={"If-Match": seen["ETag"]}).status_code == 412


def test_revoking_a_key_somebody_else_has_changed_is_refused(api: APIClient, acme: Tenant) -> None:
    key = ApiKey.objects.issue(name="IVR", tenant=acme)[0]
    path = f"/api/keys/{key.prefix}/"
    seen = api.get(path)["ETag"]
    api.patch(path, {"name": "IVR 2"})
    assert api.post(f"{path}revoke/", headers={"If-Match": seen}).status_code == 412
    revoked = api.post(f"{path}revoke/", headers={"If-Match": api.get(path)["ETag"]})
    assert (revoked.status_code, revoked["ETag"]) == (200, api.get(path)["ETag"])


def test_a_new_row_is_answered_with_its_etag(api: APIClient, connection: Connection) -> None:
    made = api.post("/api/tenants/", {"tenant_id": "initech", "name": "Initech", "connection": "sandbox"})
    assert made["ETag"] == api.get("/api/tenants/initech/")["ETag"]
