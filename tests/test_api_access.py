"""Who may use the management API: nobody without a right, on every route there is and every one to come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.test import APIClient

from tenants.models import Tenant
from tests.api_client import editor, person

OPEN = {"api/schema/", "api/docs/", "^api/?$"}
SAMPLES = {"tenant_id": "acme", "name": "sandbox", "prefix": "abcdefghijkl"}  # any other parameter takes a 1
METHODS = ("get", "head", "options", "post", "put", "patch", "delete")


def _patterns(found: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in found:
        path = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _patterns(one.url_patterns, path)
        elif path.lstrip("^").startswith("api/") or path in OPEN:
            yield path, one


ROUTES = [pattern for path, pattern in _patterns(get_resolver("quota_platform.urls").url_patterns) if path not in OPEN]


def _url(pattern: URLPattern) -> str:
    """An address of the route, with a sample for each of its parameters."""
    names: Iterable[str] = pattern.pattern.regex.groupindex
    return reverse(str(pattern.name), kwargs={name: SAMPLES.get(name, "1") for name in names})


URLS = sorted({_url(pattern) for pattern in ROUTES})


def test_all_resources_are_covered() -> None:
    resources = {"tenants", "connections", "actions", "keys", "policies", "assignments", "overrides", "events"}
    assert {url.split("/")[2] for url in URLS} >= resources
    assert any(url.endswith("/revoke") for url in URLS)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_is_refused_everywhere(acme: Tenant, url: str, method: str) -> None:
    anonymous = getattr(APIClient(), method)(url)
    assert anonymous.status_code == 401
    assert anonymous["WWW-Authenticate"] == "Token"
    stranger = getattr(person(name="stranger"), method)(url)
    assert stranger.status_code == 403
    for response in (anonymous, stranger):
        assert response["Content-Type"] == "application/problem+json"
        assert "Acme" not in response.content.decode()


@pytest.mark.parametrize("url", [url for url in URLS if "acme" in url or "sandbox" in url or url.count("/") == 2])
def test_somebody_with_the_rights_is_let_in(acme: Tenant, url: str) -> None:
    assert editor().get(url).status_code == 200


def test_a_wrong_token_and_a_switched_off_person_are_refused(acme: Tenant) -> None:
    wrong = APIClient()
    wrong.credentials(HTTP_AUTHORIZATION="Token " + "0" * 40)
    assert wrong.get("/api/tenants/").status_code == 401
    api = editor("gone")
    User.objects.filter(username="gone").update(is_active=False)
    assert api.get("/api/tenants/").status_code == 401


def test_a_callers_api_key_opens_no_management_route(acme: Tenant, acme_key: str) -> None:
    for header in ({"Authorization": f"Bearer {acme_key}"}, {"X-API-Key": acme_key}):
        assert Client(headers=header).get("/api/tenants/").status_code == 401
