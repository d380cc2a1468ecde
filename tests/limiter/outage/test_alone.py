"""A worker's decisions during an outage of the store are in the record once the store is back: once, and bounded."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import redis
from asgiref.sync import sync_to_async

from limiter.core.peers import Peers
from limiter.core.store import Store
from limiter.demand import undrained
from limiter.demand.points import Calls
from limiter.gateway.runtime import GatewaySettings, Runtime
from limiter.live.snapshot import Snapshot
from limiter.models import Assignment, QuotaLimit, QuotaPolicy, RecordGap, ThrottleEvent, UsageMinute
from limiter.outage import alone
from limiter.record import keeping
from limiter.record.explain import explain
from limiter.record.verify import verify
from limiter.stores.pipeline import Address
from limiter.stores.pool import PoolSettings, StorePool
from quota_platform import lean_urls
from tenants.models import Tenant
from tests.asgi import Caller
from tests.chaos import ChaosProxy
from tests.limiter.gateway.conftest import FakeUpstream, Gateway
from tests.patience import HANG_MS, eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def proxy(redis_url: str) -> AsyncIterator[ChaosProxy]:
    async with ChaosProxy.before(urlsplit(redis_url).port or 6379) as made:
        yield made


@pytest.fixture
def timeout_ms() -> int:
    """How long the gateway waits for the store, which refuses connections at once while it is unavailable."""
    return HANG_MS


@pytest_asyncio.fixture
async def gateway(proxy: ChaosProxy, transactional_db: None, timeout_ms: int) -> AsyncIterator[Gateway]:
    """A gateway that is not beaten for: the tests decide when its own decisions are handed in."""
    upstream = FakeUpstream()
    bounds = PoolSettings(probe_ms=0, timeout_ms=timeout_ms, connect_timeout_ms=HANG_MS)
    runtime = Runtime(
        store=Store(StorePool(Address.from_url(proxy.url), bounds)),
        snapshot=Snapshot(capacity=100),
        upstream=upstream,
        gateway_settings=GatewaySettings(),
        peers=Peers(expected=2),
    )
    await runtime.store.open()
    yield Gateway(runtime, upstream, Caller(lean_urls.handler(), {"runtime": runtime}))
    await runtime.gateway.close()
    await runtime.store.close()


def policy(tenant: Tenant, *, mode: str = "local", quota: int = 10) -> QuotaPolicy:
    made = QuotaPolicy.objects.create(name="Ten", store_failure=mode)
    QuotaLimit.objects.create(policy=made, name="minute", quota=quota, window_seconds=3600)
    Assignment.objects.create(policy=made, target="tenant", tenant=tenant)
    return made


@pytest.fixture
def local(acme: Tenant) -> QuotaPolicy:
    return policy(acme)


@pytest.fixture
def closed(acme: Tenant) -> QuotaPolicy:
    return policy(acme, mode="closed")


async def call(gateway: Gateway, key: str, times: int) -> list[int]:
    return [(await gateway.invoke("lookupOrder", key=key)).status for _ in range(times)]


async def back(gateway: Gateway, proxy: ChaosProxy) -> None:
    """The store is back, and the kept decisions are handed in."""
    await proxy.accept()
    await handed_in(gateway)


async def handed_in(gateway: Gateway) -> None:
    async def taken() -> bool:
        await gateway.runtime.gateway.outage.hand_in()
        return gateway.runtime.gateway.degraded_since is None

    await eventually(taken, what="the store to take the kept decisions")


async def stored(redis_url: str) -> list[ThrottleEvent]:
    """What the record has, after the periodic tasks came by."""

    def store() -> list[ThrottleEvent]:
        with redis.Redis.from_url(redis_url) as client:
            keeping.store_all(client)
            keeping.store_all_usage(client)
        verify()
        return list(ThrottleEvent.objects.order_by("position"))

    return await sync_to_async(store)()


async def demanded(gateway: Gateway) -> Calls:
    """The calls in the record of demand."""
    await gateway.runtime.gateway.demand.send()
    connection = (await Tenant.objects.aget(tenant_id="acme")).connection_id
    seconds = range(int(time.time()) - 120, int(time.time()) + 1)
    found = await undrained.read(gateway.runtime.store, connection, ["acme"], seconds)
    return functools.reduce(Calls.plus, found["acme"].together().values())


async def used() -> tuple[int, int]:
    rows = [(row.allowed, row.refused) async for row in UsageMinute.objects.all()]
    return sum(allowed for allowed, _ in rows), sum(refused for _, refused in rows)


async def test_every_decision_id_of_an_outage_is_explained_to_its_caller(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, local: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    responses = [await gateway.invoke("lookupOrder", key=acme_key) for _ in range(45)]
    await back(gateway, proxy)
    rows = await stored(redis_url)
    ids = [response.json["decision_id"] for response in responses if response.status == 429]
    assert len(rows) < len(ids) == 40
    for decision_id in ids:
        found = await gateway.caller.call("GET", f"/decisions/{decision_id}", headers=[("X-API-Key", acme_key)])
        assert found.status == 200 and "one worker decided this by itself" in found.json["sentence"]


async def test_refusals_of_an_outage_are_in_the_record_and_say_who_decided(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, local: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    assert await call(gateway, acme_key, 8) == [200] * 5 + [429] * 3
    assert gateway.runtime.gateway.outage.waiting == 3
    assert gateway.runtime.gateway.degraded_since is not None
    await back(gateway, proxy)
    assert gateway.runtime.gateway.degraded_since is None, "the store took it, so it is back"
    rows = await stored(redis_url)
    assert [(row.limit_name, row.used, row.quota, row.effective_limit, row.count) for row in rows] == [
        ("minute", 5, 10, 5, 1)
    ] * 3
    assert all(row.alone and row.decision_id and row.retry_after_ms for row in rows)
    payload = await sync_to_async(explain)(rows[0])
    assert "5 of 5 units" in payload.sentence and "one worker decided this by itself" in payload.sentence
    assert payload.data()["alone"] is True
    assert await used() == (5, 3)
    assert await demanded(gateway) == Calls(allowed=5, refused=3, units=5, refused_units=3)


async def test_a_call_that_is_refused_uncounted_is_in_the_record_too(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, closed: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    assert await call(gateway, acme_key, 2) == [503, 503]
    await back(gateway, proxy)
    row, _ = await stored(redis_url)
    assert (row.limit_name, row.policy_name, row.used, row.retry_after_ms) == ("", "Ten", 0, 1000.0)
    payload = await sync_to_async(explain)(row)
    assert payload.sentence.startswith("This call was refused uncounted") and not any(x.refused for x in payload.limits)
    assert await used() == (0, 2)
    assert await demanded(gateway) == Calls(refused=2, refused_units=2)


async def test_a_policy_of_no_limits_that_lets_no_call_pass_is_in_the_record_too(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, closed: QuotaPolicy, acme_key: str
) -> None:
    await sync_to_async(closed.limits.all().delete)()
    await proxy.refuse()
    assert await call(gateway, acme_key, 1) == [503]
    await back(gateway, proxy)
    (row,) = await stored(redis_url)
    assert (row.limit_name, row.policy_name, row.limits) == ("", "", [])
    assert (await sync_to_async(explain)(row)).sentence.startswith("This call was refused uncounted")


@pytest.mark.parametrize("timeout_ms", [150], ids=["hasty"])
async def test_decisions_taken_without_an_acknowledgement_are_sent_again_and_entered_once(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, local: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    await call(gateway, acme_key, 8)
    await proxy.accept()
    proxy.swallow_replies()
    await gateway.runtime.gateway.outage.hand_in()
    assert gateway.runtime.gateway.outage.waiting == 3, "nobody knows whether it was taken"
    proxy.behave()
    await handed_in(gateway)
    assert gateway.runtime.gateway.outage.waiting == 0
    assert len(await stored(redis_url)) == 3
    assert await used() == (5, 3)


async def test_two_who_hand_in_at_once_hand_in_each_decision_once(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, local: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    await call(gateway, acme_key, 8)
    await proxy.accept()
    outage = gateway.runtime.gateway.outage
    while outage.waiting:
        await asyncio.gather(outage.hand_in(), outage.hand_in())
    assert len(await stored(redis_url)) == 3
    assert await used() == (5, 3)


async def test_while_the_store_stays_unavailable_nothing_is_forgotten(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, local: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    for _ in range(3):
        await call(gateway, acme_key, 4)
        await gateway.runtime.gateway.outage.hand_in()
    assert gateway.runtime.gateway.outage.waiting == 7
    await back(gateway, proxy)
    await gateway.runtime.gateway.outage.hand_in()
    assert len(await stored(redis_url)) == 7


async def test_a_flood_is_folded_and_its_count_is_exact(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, local: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    statuses = await call(gateway, acme_key, 125)
    assert statuses.count(429) == 120
    await back(gateway, proxy)
    rows = await stored(redis_url)
    assert sum(row.count for row in rows) == 120
    seconds = {row.at.replace(microsecond=0) for row in rows}
    assert len(rows) <= 11 * len(seconds)


async def test_decisions_that_cannot_be_kept_are_a_gap(
    gateway: Gateway,
    proxy: ChaosProxy,
    redis_url: str,
    local: QuotaPolicy,
    acme_key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alone, "MAX_KEPT", 4)
    await proxy.refuse()
    statuses = await call(gateway, acme_key, 15)
    assert statuses.count(429) == 10
    await back(gateway, proxy)
    assert len(await stored(redis_url)) == 4
    gap = await RecordGap.objects.aget()
    assert (gap.lost, gap.stream.endswith(":events")) == (6, True)
    assert gap.after is not None and gap.before is not None and gap.after <= gap.before
    await stored(redis_url)
    assert await RecordGap.objects.acount() == 1


async def test_peeks_and_admitted_calls_leave_no_event(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, local: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    await call(gateway, acme_key, 2)
    await gateway.caller.call(
        "POST", "/check/lookupOrder", query="peek=1", headers=[("Authorization", f"Bearer {acme_key}")]
    )
    await back(gateway, proxy)
    assert await stored(redis_url) == []
    assert await used() == (2, 0)


async def test_a_worker_that_stops_hands_in_what_it_has(
    gateway: Gateway, proxy: ChaosProxy, redis_url: str, local: QuotaPolicy, acme_key: str
) -> None:
    await proxy.refuse()
    await call(gateway, acme_key, 6)
    await proxy.accept()
    await gateway.runtime.gateway.close()
    assert len(await stored(redis_url)) == 1


async def test_a_worker_that_stops_during_the_outage_says_what_is_lost(
    gateway: Gateway, proxy: ChaosProxy, local: QuotaPolicy, acme_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    await proxy.refuse()
    await call(gateway, acme_key, 6)
    await gateway.runtime.gateway.close()
    assert "1 refusals decided without the store are not recorded" in caplog.text
