"""Every page has a content security policy, and only the admin's evaluates anything."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.quota_platform.test_admin_pages import SCRIPT_INSIDE

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
