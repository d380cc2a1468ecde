"""Every address of the dashboard, asked for another tenant's row: nothing of it is there, and nothing reaches it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from dashboard.urls import urlpatterns
from limiter.models import Assignment, Incident, Override, QuotaLimit, QuotaPolicy, TeamEntry
from tenants.models import ApiKey, Connection, Tenant
from tests.dashboard.test_pages import refusal
from tests.limiter.incidents.given import incident
from tests.people import member

pytestmark = pytest.mark.django_db
STREAMED = {"overview-json", "tenant-json", "pool-json"}
"""Polls are served beside the websockets and have their tests there: test_stream.py and test_pools.py."""
PATTERNS = [each for each in urlpatterns if isinstance(each, URLPattern) and each.name not in STREAMED]
BODY = {
    "tenant": "globex",
    "kind": "shadow",
    "action": "",
    "limit": "globex-pool",
    "minutes": 30,
    "reason": "x",
    "confirm": True,
    "text": "x",
}


@pytest.fixture
def theirs(acme: Tenant, globex: Tenant) -> dict[str, Any]:
    """Rows of Globex, which has a connection of its own and a shared limit: as addresses and bodies name them."""
    unit = Connection.objects.create(name="globex-unit", is_sandbox=True, base_url="http://127.0.0.1:8801")
    Tenant.objects.filter(pk=globex.pk).update(connection=unit)
    policy = QuotaPolicy.objects.create(name="Of theirs")
    shape = {"quota": 5, "window_seconds": 60, "counted_per": "connection", "shared": True}
    QuotaLimit.objects.create(policy=policy, name="globex-pool", **shape)
    Assignment.objects.create(policy=policy, target="tenant", tenant=globex)
    refusal(1, tenant_id="globex")
    hour = {"ends_at": timezone.now() + timedelta(hours=1), "reason": "globex"}
    return {
        "tenant_id": "globex",
        "incident_id": incident(tenant_id="globex").pk,
        "override_id": Override.objects.create(tenant=globex, effect="shadow", **hour).pk,
        "connection": unit.pk,
        "limit": "globex-pool",
        "key": ApiKey.objects.issue(name="globex", tenant=globex)[0].prefix,
    }


def address(pattern: URLPattern, theirs: dict[str, Any]) -> str:
    route = str(pattern.pattern)
    for name, converter in pattern.pattern.converters.items():
        route = re.sub(rf"<\w+:{name}>", converter.to_url(theirs[name]), route)
    return f"/dashboard/{route}"


def state() -> list[Any]:
    return [list(model._default_manager.order_by("pk").values()) for model in (Override, ApiKey, Incident, TeamEntry)]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: str(pattern.pattern))
def test_nothing_of_another_tenant_is_shown_or_changed(
    client: Client, acme: Tenant, theirs: dict[str, Any], pattern: URLPattern
) -> None:
    client.force_login(member("ana", acme))
    url, before = address(pattern, theirs), state()
    asked = {**BODY, "key": theirs["key"], "incident": theirs["incident_id"]}
    responses = [client.get(url), client.post(url, asked, content_type="application/json"), client.post(url, asked)]
    assert all(response.status_code in (200, 302, 400, 403, 404, 405) for response in responses)
    bodies = " ".join(response.content.decode() for response in responses).replace(url, "").casefold()
    assert "globex" not in bodies
    assert state() == before


@pytest.mark.parametrize("name", ["tenants", "tenant", "connections", "pool", "refusals", "incident", "incident-pdf"])
def test_its_own_people_see_it_there(client: Client, globex: Tenant, theirs: dict[str, Any], name: str) -> None:
    client.force_login(member("gil", globex))
    (pattern,) = (each for each in PATTERNS if each.name == name)
    response = client.get(address(pattern, theirs))
    assert response.status_code == 200
    assert name == "incident-pdf" or "globex" in response.content.decode().casefold()
