"""Limits that count by a value of the call, on the page of a tenant: how many values, and the fullest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from dashboard import counted_values
from dashboard.readings import TenantReading
from limiter.demand.points import Calls, Demand
from limiter.demand.recent import Recent
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants import credentials
from tenants.models import ApiKey, Tenant
from tests.dashboard.demanded import AT
from tests.limiter.gateway.conftest import Gateway, gateway, gateway_settings  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT: dict[str, Any] = {
    "name": "contact",
    "quota": 5,
    "window_seconds": 3600,
    "counted_per": "tenant",
    "counted_by": "X-Contact",
    "max_values": 3,
}


async def _shown(gateway: Gateway, tenant_id: str) -> list[dict[str, Any]]:  # noqa: F811
    reading = TenantReading(tenant_id)
    await reading.read(gateway.runtime.gateway)
    return await counted_values.lines(gateway.runtime.gateway.store, reading)


async def test_a_page_shows_how_many_values_are_counted_and_the_fullest_by_their_digests(
    gateway: Gateway,  # noqa: F811
    acme: Tenant,
    globex: Tenant,
    acme_key: str,
) -> None:
    policy = await QuotaPolicy.objects.acreate(name="Contacts")
    await QuotaLimit.objects.acreate(policy=policy, **LIMIT)
    await Assignment.objects.acreate(policy=policy, target="tenant", tenant=acme)
    assert [each["in_use"] for each in await _shown(gateway, "acme")] == [0]
    for contact in ["anna"] * 5 + ["bob"] * 2:
        response = await gateway.invoke("lookupOrder", key=acme_key, headers={"X-Contact": contact})
        assert response.status == 200
    (some,) = await _shown(gateway, "acme")
    assert (some["in_use"], some["max_values"], some["others"], some["state"]) == (2, 3, 0, "ok")
    assert [(each["used"], each["effective"], each["state"]) for each in some["top"]] == [(5, 5, "stop"), (2, 5, "ok")]
    assert all(len(each["value"]) == 8 for each in some["top"])
    assert "anna" not in json.dumps(some)
    for contact in ("carl", "dora", "emil"):
        await gateway.invoke("lookupOrder", key=acme_key, headers={"X-Contact": contact})
    (full,) = await _shown(gateway, "acme")
    assert (full["in_use"], full["others"], full["state"]) == (3, 2, "stop")
    assert await _shown(gateway, "globex") == []


async def test_of_a_limit_per_key_the_keys_that_called_most_are_shown_each_with_its_values(
    gateway: Gateway,  # noqa: F811
    acme: Tenant,
    acme_key: str,
) -> None:
    policy = await QuotaPolicy.objects.acreate(name="Contacts")
    await QuotaLimit.objects.acreate(policy=policy, **LIMIT | {"counted_per": "key"})
    await Assignment.objects.acreate(policy=policy, target="tenant", tenant=acme)
    other, others_key = await sync_to_async(ApiKey.objects.issue)(name="other", tenant=acme)
    for key, contact in [(acme_key, "anna")] * 5 + [(others_key, "anna"), (others_key, "bob")]:
        assert (await gateway.invoke("lookupOrder", key=key, headers={"X-Contact": contact})).status == 200
    reading = TenantReading("acme")
    await reading.read(gateway.runtime.gateway)
    store, prefix = gateway.runtime.gateway.store, str(credentials.prefix_of(acme_key))
    assert await counted_values.lines(store, reading) == [], "while nobody knows which keys called"
    calls = {("lookupOrder", f"k{n}"): {AT: Calls(allowed=1)} for n in range(20)}
    calls |= {("lookupOrder", prefix): {AT: Calls(allowed=9)}, ("lookupOrder", other.prefix): {AT: Calls(refused=3)}}
    reading.remember(Recent.of(Demand(calls)))
    first, second, *rest = await counted_values.lines(store, reading)
    assert [(each["key"], each["in_use"], each["state"]) for each in (first, second)] == [
        (prefix, 1, "ok"),
        (other.prefix, 2, "ok"),
    ]
    assert [(each["used"], each["state"]) for each in first["top"]] == [(5, "stop")]
    assert [each["in_use"] for each in rest] == [0] * (counted_values.KEYS - 2)
