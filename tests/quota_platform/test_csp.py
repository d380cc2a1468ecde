"""Every page has a content security policy, and only the admin's evaluates anything."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests.quota_platform.test_admin_pages import SCRIPT_INSIDE
from tests.routes import Route, routes

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def policy(client: Client, path: str, **kwargs: str) -> dict[str, str]:
    """The directives, each with its sources."""
    header = client.get(path, headers=kwargs)["Content-Security-Policy"]
    return {name: sources for name, _, sources in (each.partition(" ") for each in header.split("; "))}


STRICT = ("/", "/dashboard/", "/accounts/sign-in/", "/accounts/second-factor/", "/api/tenants/", "/api/schema/", "/no/")


@pytest.mark.parametrize("path", STRICT)
def test_a_page_loads_and_runs_only_what_comes_from_this_server(root: Client, path: str) -> None:
    found = policy(root, path)
    assert (found["default-src"], found["script-src"], found["style-src"]) == ("'self'",) * 3
    assert (found["object-src"], found["frame-ancestors"], found["base-uri"]) == ("'none'",) * 3


def test_the_admin_s_theme_may_evaluate_and_style_and_load_nothing_from_elsewhere(root: Client) -> None:
    found = policy(root, "/admin/")
    assert found["script-src"] == "'self' 'unsafe-eval'"
    assert found["style-src"] == "'self' 'unsafe-inline'"
    assert found["form-action"] == found["default-src"] == "'self'"


def test_the_api_s_page_runs_scripts_of_this_server_alone(root: Client) -> None:
    found = policy(root, "/api/docs/")
    assert (found["script-src"], found["style-src"]) == ("'self'", "'self' 'unsafe-inline'")
    assert not SCRIPT_INSIDE.search(root.get("/api/docs/").content)


def test_a_wrong_host_is_refused_with_a_policy(client: Client) -> None:
    response = client.get(reverse("account_login"), headers={"Host": "evil.example.com"})
    assert response.status_code == 400 and "script-src 'self'" in response["Content-Security-Policy"]


def address(route: Route) -> str:
    """A path of the route, whether or not the row is there; "" for one whose parameters have a form of their own."""
    try:
        return reverse(route.name, kwargs=route.parameters)
    except NoReverseMatch:
        return ""


def test_every_route_has_a_policy_that_runs_no_script_inside_a_page(root: Client) -> None:
    root.raise_request_exception = False  # some need a web process: the page of a fault has a policy, too
    found = {path: root.get(path) for path in map(address, routes()) if path}
    assert len(found) > 150 and {"/admin/", "/api/docs/", "/dashboard/", "/accounts/"} <= set(found)
    sources = {path: response.headers.get("Content-Security-Policy", "none at all") for path, response in found.items()}
    evaluating = {path for path, text in sources.items() if "script-src 'self' 'unsafe-eval';" in text}
    assert "/admin/" in evaluating and all(path.startswith("/admin/") for path in evaluating)
    assert [path for path, text in sources.items() if path not in evaluating and "script-src 'self';" not in text] == []
    html = {path: each for path, each in found.items() if each.headers["Content-Type"].startswith("text/html")}
    assert [path for path, each in html.items() if not each.streaming and SCRIPT_INSIDE.search(each.content)] == []
