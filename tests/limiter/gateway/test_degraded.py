"""The store is unavailable: each policy's failure mode decides, and no response has numbers that may be wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from limiter.core.peers import Peers
from limiter.core.store import Store
from limiter.gateway.runtime import GatewaySettings, Runtime
from limiter.live.snapshot import Snapshot
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.stores.pipeline import Address
from limiter.stores.pool import PoolSettings, StorePool
from quota_platform import lean_urls
from quota_platform.embedded import free_port
from tenants.models import Tenant
from tests.asgi import Caller
from tests.limiter.gateway.conftest import FakeUpstream, Gateway

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def storeless(redis_url: str, transactional_db: None) -> AsyncIterator[Gateway]:
    """A gateway whose store refuses connections; the rest is as ever."""
    upstream = FakeUpstream()
    nowhere = Address(host="127.0.0.1", port=free_port())
    runtime = Runtime(
        store=Store(StorePool(nowhere, PoolSettings(probe_ms=60_000))),
        snapshot=Snapshot(capacity=100),
        upstream=upstream,
        gateway_settings=GatewaySettings(),
        peers=Peers(expected=2),
    )
    await runtime.open()
    yield Gateway(runtime, upstream, Caller(lean_urls.handler(), {"runtime": runtime}))
    await runtime.close()


@pytest.fixture
def ten_per_minute(acme: Tenant, request: pytest.FixtureRequest) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Ten", store_failure=request.param)
    QuotaLimit.objects.create(policy=policy, name="minute", quota=10, window_seconds=60)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    return policy


@pytest.mark.parametrize("ten_per_minute", ["local"], indirect=True)
async def test_local_lets_this_worker_spend_its_share(
    storeless: Gateway, ten_per_minute: QuotaPolicy, acme_key: str
) -> None:
    responses = [await storeless.invoke("lookupOrder", key=acme_key) for _ in range(7)]
    assert [a.status for a in responses] == [200] * 5 + [429] * 2
    assert not any("ratelimit" in a.headers for a in responses)
    assert int(responses[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("ten_per_minute", ["open"], indirect=True)
async def test_open_lets_every_call_pass(storeless: Gateway, ten_per_minute: QuotaPolicy, acme_key: str) -> None:
    responses = [await storeless.invoke("lookupOrder", key=acme_key) for _ in range(12)]
    assert {a.status for a in responses} == {200}
    assert "ratelimit" not in responses[0].headers


@pytest.mark.parametrize("ten_per_minute", ["closed"], indirect=True)
async def test_closed_mode_is_a_503_with_a_wait(storeless: Gateway, ten_per_minute: QuotaPolicy, acme_key: str) -> None:
    answered = await storeless.invoke("lookupOrder", key=acme_key)
    assert (answered.status, answered.headers["retry-after"]) == (503, "1")
    assert answered.json["type"] == "urn:quota-platform:problem:limiter-unavailable"
    assert storeless.upstream.calls == []
