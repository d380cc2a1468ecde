"""Workers in which calls wait for a slot hear when a call of another worker ends; nobody looks again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import redis

from limiter import clients
from limiter.core.peers import Peers
from limiter.core.store import Store
from limiter.gateway.runtime import GatewaySettings, Runtime
from limiter.gateway.waiting import WaitBounds, Waiting
from limiter.live.snapshot import Snapshot
from limiter.models import QuotaPolicy
from limiter.stores.pipeline import Address
from limiter.stores.pool import StorePool
from quota_platform import lean_urls
from tests.asgi import Caller
from tests.limiter import patient
from tests.limiter.core.given import PATIENT
from tests.limiter.gateway.conftest import FakeUpstream, Gateway
from tests.limiter.gateway.test_waiting import call, calling, decisions, held_upstream, one_at_once, until_waiting
from tests.patience import HANG_S, eventually

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["one_at_once"]


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    return GatewaySettings(wait_bounds=WaitBounds(HANG_S, 50, 50))


@pytest_asyncio.fixture
async def other(redis_url: str, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A second worker, which hears and never looks."""
    monkeypatch.setattr("django.conf.settings.ENV.LIMITER_REDIS_URL", redis_url)
    upstream = FakeUpstream()
    runtime = Runtime(
        store=Store(StorePool(Address.from_url(redis_url), PATIENT)),
        snapshot=Snapshot(capacity=100),
        upstream=upstream,
        gateway_settings=GatewaySettings(),
        peers=Peers(expected=2),
        side=patient.side(),
    )
    bounds = WaitBounds(HANG_S, 50, 50)
    waiting = Waiting(bounds, wakes=clients.wakes_client(), looks_every_us=HANG_S * 1_000_000)
    runtime.gateway.waiting = waiting
    runtime.gateway.recorder.freed = waiting.freed
    await runtime.open()
    yield Gateway(runtime, upstream, Caller(lean_urls.handler(), {"runtime": runtime}))
    await runtime.close()


async def until_it_listens(raw: redis.Redis) -> None:
    await eventually(lambda: asyncio.sleep(0, raw.pubsub_channels("*:w:tight:*")), what="the other worker to listen")


async def test_the_end_of_a_call_wakes_the_waiting_call_of_another_worker(
    gateway: Gateway, other: Gateway, acme_key: str, one_at_once: QuotaPolicy, raw: redis.Redis
) -> None:
    running, held = await held_upstream(gateway, acme_key)
    waiting = [calling(other, acme_key) for _ in range(3)]
    await until_waiting(other, 3)
    await until_it_listens(raw)
    before = decisions(other)
    held.set()
    responses = await asyncio.gather(running, *waiting)
    assert {each.status for each in responses} == {200}
    assert decisions(other) - before <= 3 + 1  # one for each slot, and one look when it began to listen


async def test_nobody_listens_when_no_call_waits(
    gateway: Gateway, other: Gateway, acme_key: str, one_at_once: QuotaPolicy, raw: redis.Redis
) -> None:
    running, held = await held_upstream(gateway, acme_key)
    waiting = asyncio.create_task(call(other, acme_key))
    await until_it_listens(raw)
    held.set()
    await asyncio.gather(running, waiting)
    await eventually(lambda: asyncio.sleep(0, not raw.pubsub_channels("*:w:tight:*")), what="it to stop")


async def test_a_lost_connection_is_made_again(
    gateway: Gateway, other: Gateway, acme_key: str, one_at_once: QuotaPolicy, raw: redis.Redis
) -> None:
    running, held = await held_upstream(gateway, acme_key)
    waiting = asyncio.create_task(call(other, acme_key))
    await until_it_listens(raw)
    raw.client_kill_filter(_type="pubsub")
    await eventually(lambda: asyncio.sleep(0, raw.pubsub_channels("*:w:tight:*")), what="it to listen again")
    held.set()
    assert {each.status for each in await asyncio.gather(running, waiting)} == {200}
