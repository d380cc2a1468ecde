"""``/api/tenants``: reading, writing, narrowing and deleting tenants; and what every route shares."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from pytest_django.fixtures import DjangoAssertNumQueries
from rest_framework.test import APIClient

from limiter.models import Assignment, QuotaPolicy
from tenants.models import ApiKey, Connection, Tenant
from tests.api_client import ANY, editor, errors, person

NEW = {"tenant_id": "initrode", "name": "Initrode", "connection": "sandbox"}


def test_a_tenant_is_made_read_changed_and_deleted(connection: Connection) -> None:
    api = editor()

    made = api.post("/api/tenants/", {**NEW, "reason": "contract 12"})
    assert made.status_code == 201
    assert made["Location"].endswith("/api/tenants/initrode/")
    assert made.json() == {
        "tenant_id": "initrode",
        "name": "Initrode",
        "status": "active",
        "connection": "sandbox",
        "envelope": False,
        "accept_unlisted_actions": False,
        "notes": "",
        "created_at": made.json()["created_at"],
    }
    assert api.get("/api/tenants/initrode/").json() == made.json()
    changed = api.patch("/api/tenants/initrode/", {"status": "suspended"})
    assert changed.status_code == 200 and changed.json()["status"] == "suspended"
    assert api.delete("/api/tenants/initrode/").status_code == 204
    assert not Tenant.objects.exists()


def test_the_history_says_who_did_it_and_why(connection: Connection) -> None:
    api = editor("ana")
    api.post("/api/tenants/", {**NEW, "reason": "contract 12"})
    api.patch("/api/tenants/initrode/", {"name": "Initrode Ltd"}, headers={"X-Change-Reason": "renamed"})
    api.delete("/api/tenants/initrode/", headers={"X-Change-Reason": "left"})

    records = Tenant.history.order_by("history_id")
    assert [(r.history_user.username, r.history_change_reason) for r in records] == [
        ("ana", "contract 12"),
        ("ana", "renamed"),
        ("ana", "left"),
    ]


def test_put_sets_missing_fields_to_their_defaults(acme: Tenant) -> None:
    acme.notes, acme.envelope = "old", True
    acme.save()
    api = editor()

    assert api.patch("/api/tenants/acme/", {"name": "A"}).json()["notes"] == "old"
    put = api.put("/api/tenants/acme/", {"tenant_id": "acme", "name": "A", "connection": "sandbox"}, headers=ANY).json()
    assert (put["notes"], put["envelope"]) == ("", False)


def test_a_row_as_it_was_read_can_be_sent_back_and_adds_no_history(acme: Tenant) -> None:
    api = editor()
    before = Tenant.history.count()
    read = api.get("/api/tenants/acme/")
    assert api.put("/api/tenants/acme/", read.json(), headers={"If-Match": read["ETag"]}).status_code == 200
    assert Tenant.history.count() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tenant_id": "a b"}, "tenant_id"),
        ({"tenant_id": "x" * 65}, "tenant_id"),
        ({"tenant_id": ""}, "tenant_id"),
        ({"tenant_id": "nul\0"}, "tenant_id"),
        ({"tenant_id": "acme"}, "tenant_id"),
        ({"name": None}, "name"),
        ({"status": "gone"}, "status"),
        ({"connection": "nowhere"}, "connection"),
        ({"connection": 7}, "connection"),
        ({"connection": None}, "connection"),
        ({"envelope": "perhaps"}, "envelope"),
        ({"colour": "red"}, "colour"),
        ({"created_at": "2020-01-01T00:00:00Z"}, "created_at"),
        ({"reason": "x" * 256}, "reason"),
        ({"reason": "two\nlines"}, "reason"),
        ({"name": "\ud800"}, "name"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_saved(acme: Tenant, change: dict[str, Any], field: str) -> None:
    response = editor().post("/api/tenants/", json.dumps({**NEW, **change}), content_type="application/json")
    assert list(errors(response)) == [field]
    assert list(Tenant.objects.values_list("tenant_id", flat=True)) == ["acme"]


def test_all_bad_fields_are_named_at_once(connection: Connection) -> None:
    response = editor().post("/api/tenants/", {"tenant_id": "!", "colour": "red", "connection": "nowhere"})
    assert set(errors(response)) == {"tenant_id", "name", "connection", "colour"}


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"\xff\xfe", b"[" * 100_000, b'{"name": NaN}', b"1" * 5000, b"[]", b'"text"', b"null"],
    ids=["broken", "empty", "not UTF-8", "nested deeply", "NaN", "huge number", "list", "text", "null"],
)
def test_a_body_that_is_no_object_is_a_400_problem(connection: Connection, body: bytes) -> None:
    response = editor().post("/api/tenants/", body, content_type="application/json")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["request_id"] == response["X-Request-Id"]


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000)
def test_a_body_over_the_cap_is_413(connection: Connection) -> None:
    response = editor().post("/api/tenants/", {**NEW, "notes": "x" * 1000})
    assert response.status_code == 413
    assert response.json()["detail"] == "The body may have at most 1,000 bytes."


def test_a_body_in_chunks_without_a_length_is_411_and_not_taken_for_empty(acme: Tenant) -> None:
    response = editor().patch("/api/tenants/acme/", headers={"Transfer-Encoding": "chunked"})
    assert response.status_code == 411


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_body_of_another_type_is_415(connection: Connection, content_type: str) -> None:
    response = editor().generic("POST", "/api/tenants/", "name=x", content_type=content_type)
    assert response.status_code == 415


def test_the_slash_at_the_end_may_be_left_out(acme: Tenant) -> None:
    api = editor()
    assert api.get("/api/tenants/acme").json() == api.get("/api/tenants/acme/").json()
    assert api.post("/api/tenants", NEW).status_code == 201


def test_a_tenant_in_use_elsewhere_goes_with_what_belongs_to_it_and_a_connection_in_use_stays(acme: Tenant) -> None:
    api = editor()
    kept = api.delete("/api/connections/sandbox/")
    assert kept.status_code == 409
    assert "1 tenants" in kept.json()["detail"]
    assert api.delete("/api/tenants/acme/").status_code == 204
    assert api.delete("/api/connections/sandbox/").status_code == 204


def test_a_list_is_searched_filtered_ordered_and_paged(acme: Tenant, globex: Tenant) -> None:
    api = editor()

    def names(query: str) -> list[str]:
        return [row["tenant_id"] for row in api.get(f"/api/tenants/?{query}").json()["results"]]

    assert names("search=glob") == ["globex"]
    assert names("status=active&connection=sandbox") == ["acme", "globex"]
    assert names("status=suspended") == []
    assert names("ordering=-tenant_id") == ["globex", "acme"]
    first = api.get("/api/tenants/?page_size=1").json()
    assert first["count"] == 2 and [row["tenant_id"] for row in first["results"]] == ["acme"]
    assert [row["tenant_id"] for row in api.get(first["next"]).json()["results"]] == ["globex"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("stauts=active", "stauts"),
        ("status=gone", "status"),
        ("connection=%00", "connection"),
        ("accept_unlisted_actions=perhaps", "accept_unlisted_actions"),
        ("ordering=password", "ordering"),
        ("ordering=name,name", "ordering"),
        ("page_size=0", "page_size"),
        ("page_size=501", "page_size"),
        ("page_size=x", "page_size"),
        (f"search={'x' * 201}", "search"),
        ("search=%00", "search"),
    ],
)
def test_a_bad_query_is_named(acme: Tenant, query: str, field: str) -> None:
    assert list(errors(editor().get(f"/api/tenants/?{query}"))) == [field]


@pytest.mark.parametrize("page", ["0", "99", "x", "9" * 5000])
def test_a_page_that_is_not_there_is_404(acme: Tenant, page: str) -> None:
    assert editor().get(f"/api/tenants/?page={page}").status_code == 404


def test_a_list_costs_the_same_queries_however_long(
    connection: Connection, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = editor()
    for number in range(3):
        Tenant.objects.create(tenant_id=f"t{number}", name="T", connection=connection)
    with django_assert_num_queries(5):  # token, two for the rights, count, rows
        assert len(api.get("/api/tenants/").json()["results"]) == 3
    for number in range(3, 30):
        Tenant.objects.create(tenant_id=f"t{number}", name="T", connection=connection)
    with django_assert_num_queries(5):
        assert len(api.get("/api/tenants/").json()["results"]) == 30


def test_head_and_options_get_a_response(acme: Tenant) -> None:
    api = editor()
    head = api.head("/api/tenants/acme/")
    assert (head.status_code, head.content) == (200, b"")
    options = api.options("/api/tenants/acme/")
    assert options.status_code == 200 and "PUT" in options.json()["actions"]


def test_a_wrong_method_is_405_and_says_which_there_are(acme: Tenant) -> None:
    response = editor().delete("/api/tenants/")
    assert response.status_code == 405
    assert {"GET", "POST"} <= set(response["Allow"].split(", "))


def test_a_row_that_is_not_there_and_a_route_that_is_not_there_are_404_problems(db: None) -> None:
    api = editor()
    for path in ("/api/tenants/nobody/", "/api/tenants/a%2Fb/", "/api/nothing/", "/api/actions/999/"):
        response = api.get(path)
        assert response.status_code == 404, path
        assert response["Content-Type"] == "application/problem+json"


def test_a_reason_that_cannot_be_kept_is_refused(acme: Tenant) -> None:
    response = editor().delete("/api/tenants/acme/", headers={"X-Change-Reason": "x" * 256})
    assert list(errors(response)) == ["X-Change-Reason"]
    assert Tenant.objects.filter(tenant_id="acme").exists()


def test_a_session_needs_its_csrf_token(acme: Tenant) -> None:
    user = User.objects.create_superuser("root", password="a-long-test-password")
    api = APIClient(enforce_csrf_checks=True)
    api.force_login(user)
    assert api.get("/api/tenants/acme/").status_code == 200
    assert api.patch("/api/tenants/acme/", {"name": "X"}).status_code == 403


def test_deleting_a_tenant_takes_its_keys_and_assignments_along(
    acme: Tenant, acme_key: str, base_policy: QuotaPolicy
) -> None:
    Assignment.objects.create(policy=base_policy, target="tenant", tenant=acme)
    assert editor().delete("/api/tenants/acme/").status_code == 204
    assert not ApiKey.objects.exists()
    assert not Assignment.objects.filter(target="tenant").exists()


def test_reading_and_writing_need_a_right_each(acme: Tenant) -> None:
    reader = person("tenants.view_tenant", name="reader")
    assert reader.get("/api/tenants/acme/").status_code == 200
    assert reader.patch("/api/tenants/acme/", {"name": "X"}).status_code == 403
    writer = person("tenants.change_tenant", name="writer")
    assert writer.patch("/api/tenants/acme/", {"name": "X"}).status_code == 200
    assert writer.delete("/api/tenants/acme/").status_code == 403
