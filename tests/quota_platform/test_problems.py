"""Errors of the stock side become problem documents that say enough and not too much."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from quota_platform import problems


def respond(error: Exception, **headers: str) -> Response | None:
    return problems.response(error, {"request": Request(RequestFactory().get("/api/tenants/", headers=headers))})


def document(error: Exception, **headers: str) -> dict[str, Any]:
    response = respond(error, **headers)
    assert response is not None
    assert response.content_type == "application/problem+json"
    assert response["X-Request-Id"] == response.data["request_id"]
    assert response.status_code == response.data["status"]
    found: dict[str, Any] = response.data
    return found


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (exceptions.ParseError(), 400),
        (exceptions.NotAuthenticated(), 401),
        (PermissionDenied(), 403),
        (Http404(), 404),
        (exceptions.MethodNotAllowed("PUT"), 405),
        (RequestDataTooBig(), 413),
        (SuspiciousOperation(), 400),
        (DataError("value of canary"), 400),
        (OperationalError("canary is locked"), 503),
        (InterfaceError("canary is closed"), 503),
    ],
)
def test_each_known_error_has_its_status(error: Exception, status: int) -> None:
    found = document(error)
    assert found["status"] == status
    assert found["instance"] == "/api/tenants/"
    assert "canary" not in str(found)


def test_a_fault_of_ours_is_left_to_the_server(db: None) -> None:
    assert respond(RuntimeError("canary")) is None


def test_an_unavailable_database_gives_a_time_to_retry() -> None:
    response = respond(OperationalError())
    assert response is not None and response["Retry-After"] == "5"


def test_fields_are_named_by_their_path() -> None:
    detail: Any = {"name": ["a"], "limits": {"1": {"quota": ["b", "c"]}, "2": {"non_field_errors": ["d"]}}, "x": {}}
    found = document(exceptions.ValidationError(detail))
    assert found["errors"] == {"name": ["a"], "limits[1].quota": ["b", "c"], "limits[2]": ["d"]}
    assert document(exceptions.ValidationError([{}, {"quota": ["b"]}]))["errors"] == {"[1].quota": ["b"]}
    assert document(exceptions.ValidationError("whole"))["errors"] == {"non_field_errors": ["whole"]}


def test_a_usable_request_id_is_kept_and_an_unusable_one_replaced() -> None:
    assert document(Http404(), **{"X-Request-Id": "abc-1"})["request_id"] == "abc-1"
    assert document(Http404(), **{"X-Request-Id": "a b\n"})["request_id"].isalnum()


def test_a_page_that_is_not_there_is_a_page_for_people_and_a_document_for_programs(db: None) -> None:
    response = Client().get("/nothing/")
    assert response.status_code == 404
    assert_page(response, "There is no such page")
    assert Client().get("/api/nothing").json()["status"] == 404


def test_an_error_page_is_in_the_language_of_its_reader(db: None) -> None:
    assert_page(Client().get("/nothing/", headers={"Accept-Language": "de"}), "Diese Seite gibt es nicht")


def test_a_page_without_permission_and_a_form_that_expired_are_ours(db: None) -> None:
    user = User.objects.create_user("ana", password="a-long-test-password", is_staff=True)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    forbidden, expired = client.get("/admin/auth/user/"), client.post("/accounts/sign-in/", {"username": "ana"})
    assert forbidden.status_code == expired.status_code == 403
    assert_page(forbidden, "You may not see this page")
    assert_page(expired, "This form has expired")


def assert_page(response: Any, heading: str) -> None:
    assert response["Content-Type"].startswith("text/html")
    assert f"<h1>{heading}</h1>" in response.content.decode()
    assert "script-src 'self'" in response["Content-Security-Policy"]


def test_the_first_address_leads_to_the_dashboard_and_the_icon_is_there(db: None) -> None:
    assert Client().get("/")["Location"] == "/dashboard/"
    icon = Client().get(Client().get("/favicon.ico")["Location"])
    icon.close()  # the file that is streamed
    assert icon.status_code == 200 and icon["Content-Type"] == "image/svg+xml"


def test_a_request_for_an_unknown_host_is_a_problem_under_api() -> None:
    response = Client().get("/api/tenants/", headers={"Host": "evil.example.com"})
    assert response.status_code == 400
    assert response.json()["title"] == "Bad Request"


def test_a_server_error_names_the_request_that_the_log_names(caplog: pytest.LogCaptureFixture) -> None:
    response = problems.server_error(RequestFactory().get("/api/tenants/"))
    assert response.status_code == 500
    assert response["X-Request-Id"] in caplog.text
    page = problems.server_error(RequestFactory().get("/admin/"))
    assert page["Content-Type"].startswith("text/html")
    assert page["X-Request-Id"] in page.content.decode() and page["X-Request-Id"] in caplog.text


@pytest.mark.parametrize("error", [OperationalError("canary"), InterfaceError("canary")])
@pytest.mark.parametrize("path", ["/dashboard/", "/api/nothing"])
def test_a_page_shows_that_the_database_is_unavailable_and_when_to_retry(error: Exception, path: str) -> None:
    try:
        raise error
    except type(error):
        response = problems.server_error(RequestFactory().get(path))
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert b"database did not complete this request" in response.content and b"canary" not in response.content


@pytest.mark.parametrize(("silent_s", "shown"), [(0.4, False), (None, False), (600.0, True)])
def test_the_page_of_an_unavailable_database_says_since_when_as_far_as_its_process_knows(
    silent_s: float | None, shown: bool
) -> None:
    snapshot = SimpleNamespace(status=lambda: {"looked_seconds_ago": silent_s})
    request: Any = RequestFactory().get("/dashboard/")
    request.scope = {"state": {"runtime": SimpleNamespace(gateway=SimpleNamespace(snapshot=snapshot))}}
    try:
        raise OperationalError
    except OperationalError:
        page = problems.server_error(request).content.decode()
    assert bool(re.search(r"Since \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", page)) == shown
    assert ("dashboard, admin and sign-in are unavailable" in page) == shown and "calls of tenants go on" in page
    assert ("The database did not complete this request." in page) is not shown
