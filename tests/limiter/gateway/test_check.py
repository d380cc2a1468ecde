"""POST /check/<action_id>: the decision without the call."""

from __future__ import annotations

import pytest

from limiter.core import keys
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway

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


async def test_the_stranger_cannot_check_acmes_action(gateway: Gateway, acme: Tenant, globex_key: str) -> None:
    assert (await check(gateway, globex_key)).status == 404
    assert (await gateway.caller.call("POST", "/check/lookupOrder")).status == 401
