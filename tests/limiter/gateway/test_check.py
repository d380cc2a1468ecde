"""POST /check/<action_id>: the decision without the call."""

from __future__ import annotations

import asyncio

import pytest

from limiter.core import keys
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway
from tests.patience import eventually

pytestmark = pytest.mark.django_db(transaction=True)


async def check(gateway: Gateway, key: str, *, peek: bool = False, action_id: str = "lookupOrder") -> Answered:
    return await gateway.caller.call(
        "POST", f"/check/{action_id}", headers=[("X-API-Key", key)], query="peek=1" if peek else ""
    )


async def test_a_check_counts_like_a_call_and_reaches_no_upstream(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    first, second = await check(gateway, acme_key), await check(gateway, acme_key)
    assert [a.json["limits"][0]["used"] for a in (first, second)] == [1, 2]
    assert first.json["allowed"] is True
    assert second.headers["ratelimit"] == '"minute";r=98;t=60'
    assert gateway.upstream.calls == []


async def test_a_peek_counts_nothing(gateway: Gateway, acme_key: str, base_policy: QuotaPolicy) -> None:
    await check(gateway, acme_key)
    peeks = [await check(gateway, acme_key, peek=True) for _ in range(3)]
    assert [a.json["limits"][0]["used"] for a in peeks] == [1, 1, 1]


@pytest.mark.parametrize("text", ["peek=0", "peek=false", "peek=False"])
async def test_a_check_that_says_no_to_a_peek_counts(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, text: str
) -> None:
    called = await gateway.caller.call("POST", "/check/lookupOrder", headers=[("X-API-Key", acme_key)], query=text)
    assert called.status == 200
    assert (await check(gateway, acme_key, peek=True)).json["limits"][0]["used"] == 1


@pytest.mark.parametrize("text", ["peek", "peek=", "peek=no", "peek=2", "peek=1&peek=0", "peek=%00"])
async def test_a_peek_that_is_neither_yes_nor_no_is_refused_and_counts_nothing(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, text: str
) -> None:
    refused = await gateway.caller.call("POST", "/check/lookupOrder", headers=[("X-API-Key", acme_key)], query=text)
    assert (refused.status, refused.json["type"]) == (400, "urn:quota-platform:problem:parameter-invalid")
    assert refused.json["detail"] == "The parameter peek is 1 or true, or 0 or false, once."
    assert (await check(gateway, acme_key, peek=True)).json["limits"][0]["used"] == 0


@pytest.fixture
def two_per_minute_one_at_once(acme: Tenant) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Tiny")
    QuotaLimit.objects.create(policy=policy, name="minute", quota=2, window_seconds=60)
    QuotaLimit.objects.create(policy=policy, name="inflight", algorithm="concurrency", quota=1)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    return policy


async def test_a_check_over_the_limit_is_refused_like_a_call_and_a_peek_leaves_no_event(
    gateway: Gateway, acme: Tenant, acme_key: str, two_per_minute_one_at_once: QuotaPolicy
) -> None:
    stream = keys.events(acme.connection_id)
    for _ in range(2):
        assert (await check(gateway, acme_key)).status == 200
        await gateway.recorded()
    peek = await check(gateway, acme_key, peek=True)
    assert (peek.status, await gateway.runtime.store.command("XLEN", stream, key=stream)) == (429, 0)
    refused = await check(gateway, acme_key)
    assert (refused.status, refused.json["violated-policies"]) == (429, ["minute"])
    assert await gateway.runtime.store.command("XLEN", stream, key=stream) == 1


async def test_a_refusal_for_want_of_a_slot_calls_its_wait_a_hint(
    gateway: Gateway, acme: Tenant, acme_key: str, two_per_minute_one_at_once: QuotaPolicy
) -> None:
    gateway.upstream.held = asyncio.Event()
    running = asyncio.create_task(gateway.invoke("lookupOrder", key=acme_key))
    slots = f"{keys.tag(acme.connection_id)}:w:inflight:c:a:acme:lookupOrder"
    await eventually(lambda: gateway.runtime.store.command("ZCARD", slots, key=slots), what="a call to take the slot")

    refused = await check(gateway, acme_key)

    assert refused.json["violated-policies"] == ["inflight"]
    assert refused.json["detail"].endswith(
        "a call of cost 1 passes as soon as a running one ends. When is not known; to try again in 1 s is a hint."
    )
    gateway.upstream.held.set()
    assert (await running).status == 200


async def test_the_stranger_cannot_check_acmes_action(gateway: Gateway, acme: Tenant, globex_key: str) -> None:
    assert (await check(gateway, globex_key)).status == 404
    assert (await gateway.caller.call("POST", "/check/lookupOrder")).status == 401
