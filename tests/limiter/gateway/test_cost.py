"""A call whose action takes its cost from the payload is charged that cost, wherever a cost counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from limiter.gateway.runtime import GatewaySettings
from limiter.gateway.waiting import WaitBounds
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.upstream import errors
from tenants.models import Action, Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    return GatewaySettings(wait_bounds=WaitBounds(seconds=250))


@pytest.fixture
def priced(acme: Tenant, base_policy: QuotaPolicy) -> Action:
    """Its calls cost two units for each message, and ten for a call without messages."""
    action = acme.actions.get()
    Action.objects.filter(pk=action.pk).update(cost=2, cost_from="/messages", max_cost=50)
    return action


async def asked(gateway: Gateway, key: str, body: bytes, *, query: str = "") -> Answered:
    return await gateway.caller.call("POST", "/check/lookupOrder", headers=[("X-API-Key", key)], body=body, query=query)


def used(response: Answered) -> int:
    return int(response.json["limits"][0]["used"])


async def test_an_invoked_call_a_check_and_a_peek_cost_what_their_payload_says(
    gateway: Gateway, acme_key: str, priced: Action
) -> None:
    assert (await gateway.invoke("lookupOrder", key=acme_key, body=b'{"messages": ["a", "b"]}')).status == 200
    checked = await asked(gateway, acme_key, b'{"messages": 4}')
    assert (checked.json["cost"], used(checked)) == (8, 12)
    peeked = await asked(gateway, acme_key, b'{"messages": [1]}', query="peek=1")
    assert (peeked.json["cost"], used(peeked)) == (2, 12)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"messages": "many"}'])
async def test_a_payload_without_a_cost_is_refused_and_charged_to_nothing(
    gateway: Gateway, acme_key: str, priced: Action, body: bytes
) -> None:
    for response in (
        await gateway.invoke("lookupOrder", key=acme_key, body=body),
        await asked(gateway, acme_key, body),
    ):
        assert (response.status, response.json["type"].rpartition(":")[2]) == (422, "payload-refused")
        assert response.json["detail"].startswith("/messages: ")
    assert gateway.upstream.calls == []
    assert used(await asked(gateway, acme_key, b'{"messages": 1}')) == 2


async def test_a_name_that_stands_twice_where_the_cost_is_taken_from_is_refused(
    gateway: Gateway, acme_key: str, priced: Action
) -> None:
    response = await gateway.invoke("lookupOrder", key=acme_key, body=b'{"messages": 1, "messages": 40}')
    assert (response.status, response.json["detail"]) == (422, "messages stands twice in one object; send it once.")
    elsewhere = b'{"messages": 1, "more": {"a": 1, "a": 2}}'
    assert (await gateway.invoke("lookupOrder", key=acme_key, body=elsewhere)).status == 200


async def test_a_body_that_is_no_json_is_refused_by_a_check_only_where_it_is_read(
    gateway: Gateway, acme_key: str, priced: Action
) -> None:
    await asyncio.to_thread(Action.objects.create, tenant=priced.tenant, action_id="plain")
    assert (await asked(gateway, acme_key, b"{")).status == 400
    plain = await gateway.caller.call("POST", "/check/plain", headers=[("X-API-Key", acme_key)], body=b"{")
    assert plain.status == 200


async def test_the_same_cost_is_given_back(gateway: Gateway, acme_key: str, priced: Action) -> None:
    gateway.upstream.error = errors.Unreachable("No connection.")
    await gateway.invoke("lookupOrder", key=acme_key, body=b'{"messages": [1, 2, 3]}')
    await gateway.runtime.gateway.giving_back.drain()
    assert used(await asked(gateway, acme_key, b'{"messages": 1}', query="peek=1")) == 0


def bucket(acme: Tenant, **policy: Any) -> None:
    row = QuotaPolicy.objects.create(name="Tight", **policy)
    QuotaLimit.objects.create(
        policy=row, name="minute", algorithm="token_bucket", quota=100, window_seconds=1, burst=10
    )
    Assignment.objects.create(policy=row, target="tenant", tenant=acme)


async def test_a_call_that_waits_waits_for_its_whole_cost(
    gateway: Gateway, acme: Tenant, acme_key: str, priced: Action
) -> None:
    await asyncio.to_thread(bucket, acme)
    five = b'{"messages": 5}'
    assert (await asked(gateway, acme_key, five)).json["cost"] == 10
    waited = await gateway.invoke("lookupOrder", key=acme_key, body=five, headers={"Prefer": "wait=200"})
    assert (waited.status, waited.headers["preference-applied"]) == (200, "wait=200")
    assert float(waited.headers["server-timing"].partition("dur=")[2]) > 0
    too_much = await gateway.invoke("lookupOrder", key=acme_key, body=b'{"messages": 6}')
    assert (too_much.status, "retry-after" in too_much.headers) == (429, False)


async def test_limits_lists_the_least_that_a_call_can_cost(gateway: Gateway, acme_key: str, priced: Action) -> None:
    await asyncio.to_thread(Action.objects.filter(pk=priced.pk).update, min_cost=3)
    listed = await gateway.caller.call("GET", "/limits", headers=[("X-API-Key", acme_key)])
    assert listed.json["actions"][0]["cost"] == 3
