"""A store that is frozen under load, and wakes up: each call is counted once, by the store or by the worker."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from limiter.core import keys
from limiter.core.peers import Peers
from limiter.core.store import Store
from limiter.gateway.runtime import GatewaySettings, Runtime
from limiter.live.snapshot import Snapshot
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.stores.pipeline import Address
from limiter.stores.pool import PoolSettings, StorePool
from quota_platform import lean_urls
from quota_platform.embedded import Valkey, start_valkey
from tenants.models import Action, Tenant
from tests.asgi import Caller
from tests.limiter.gateway.conftest import FakeUpstream
from tests.patience import PAUSE_S, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]

GIVE_UP_MS = 400
WORKERS, CALLERS = 2, 12
LOCAL, CLOSED = "lookupOrder", "createCase"
"""Actions, by what their policies say for a store that is unavailable."""


@dataclass
class Deployment:
    """Gateways on one store, and callers that never stop. ``answered``: (action, status) -> calls."""

    store: Valkey
    client: redis.Redis
    runtimes: list[Runtime]
    key: str
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    in_flight: int = 0

    @contextlib.asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Calls of both actions at every gateway, until the end of the block; nothing is under way after it."""
        over = asyncio.Event()
        app = lean_urls.handler()

        async def call(runtime: Runtime, action: str) -> None:
            caller = Caller(app, {"runtime": runtime})
            while not over.is_set():
                self.in_flight += 1
                answered = await caller.call(
                    "POST", f"/invoke/{action}", body=b"{}", headers=[("Authorization", f"Bearer {self.key}")]
                )
                self.in_flight -= 1
                self.answered[action, answered.status] += 1
                await asyncio.sleep(PAUSE_S)

        under = [
            asyncio.ensure_future(call(runtime, action))
            for runtime in self.runtimes
            for action in (LOCAL, CLOSED)
            for _ in range(CALLERS)
        ]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*under)

    async def more(self, calls: int, *, what: str) -> None:
        """Wait for so many more answers."""
        enough = self.answered.total() + calls

        async def come() -> bool:
            return self.answered.total() >= enough

        await eventually(come, what=what)

    async def used(self, *, back: bool) -> None:
        """Wait until no worker can use the store, or until all of them do."""

        async def seen() -> bool:
            return all((runtime.gateway.degraded_since is None) == back for runtime in self.runtimes)

        await eventually(seen, what="the workers to notice")

    def freeze(self) -> None:
        self.store.process.send_signal(signal.SIGSTOP)

    async def until_it_is_back(self) -> None:
        """Let workers decide for a while, under load, and then the store again."""
        await self.used(back=False)
        await self.more(100, what="calls that workers decide")
        self.store.process.send_signal(signal.SIGCONT)
        await self.used(back=True)
        await self.more(100, what="calls that the store decides again")

    async def handed_in(self) -> None:
        for runtime in self.runtimes:
            await runtime.gateway.recorder.drain()
            await runtime.gateway.outage.hand_in()

    def counted(self, connection: int) -> dict[str, int]:
        """Usage by counter."""
        totals: Any = self.client.hgetall(keys.totals(connection))
        return {name.partition("|")[2]: int(count) for name, count in totals.items()}

    def charged(self, action: str) -> int:
        """Units in the windows of an action."""
        (window,) = self.client.scan_iter(match=f"*{action}*", _type="list")
        return self.client.llen(window)


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Valkey]:
    server = start_valkey(directory=tmp_path / "store")
    yield server
    server.process.send_signal(signal.SIGCONT)
    server.kill()


@pytest.fixture
def policies(acme: Tenant) -> None:
    """Nobody reaches the limits: they only count."""
    Action.objects.create(tenant=acme, action_id=CLOSED)
    for action, mode in ((LOCAL, "local"), (CLOSED, "closed")):
        policy = QuotaPolicy.objects.create(name=mode, store_failure=mode)
        QuotaLimit.objects.create(policy=policy, name="hour", quota=1_000_000, window_seconds=3600)
        Assignment.objects.create(policy=policy, target="action", action=acme.actions.get(action_id=action))


@pytest.fixture
async def deployment(frozen: Valkey, policies: None, acme_key: str) -> AsyncIterator[Deployment]:
    bounds = PoolSettings(timeout_ms=GIVE_UP_MS, connect_timeout_ms=GIVE_UP_MS, probe_ms=100)
    runtimes = [
        Runtime(
            store=Store(StorePool(Address.from_url(frozen.url), bounds), give_up_ms=GIVE_UP_MS),
            snapshot=Snapshot(capacity=100),
            upstream=FakeUpstream(),
            gateway_settings=GatewaySettings(),
            peers=Peers(expected=WORKERS),
            beat_every_s=0.1,
        )
        for _ in range(WORKERS)
    ]
    for runtime in runtimes:
        await runtime.open()
    with redis.Redis.from_url(frozen.url, decode_responses=True) as client:
        yield Deployment(frozen, client, runtimes, acme_key)
    for runtime in runtimes:
        await runtime.close()


async def test_each_call_is_counted_once_when_a_frozen_store_wakes_up(deployment: Deployment, acme: Tenant) -> None:
    async with deployment.load():
        await deployment.more(100, what="calls that the store decides")
    deployment.freeze()  # with nothing under way, so that no response is lost on its way
    async with deployment.load():
        await deployment.until_it_is_back()
    await deployment.handed_in()
    answered, counted = deployment.answered, deployment.counted(acme.connection_id)
    assert set(answered) == {(LOCAL, 200), (CLOSED, 200), (CLOSED, 503)}
    assert counted["allowed"] == answered[LOCAL, 200] + answered[CLOSED, 200]
    assert counted["refused"] == answered[CLOSED, 503]
    assert deployment.charged(CLOSED) == answered[CLOSED, 200]


@pytest.mark.slow
@pytest.mark.paced
async def test_at_most_what_was_under_way_is_counted_twice_whenever_a_store_freezes(
    deployment: Deployment, acme: Tenant
) -> None:
    under_way = 0
    async with deployment.load():
        for _ in range(20):
            await deployment.more(100, what="calls that the store decides")
            under_way += deployment.in_flight
            deployment.freeze()
            await deployment.until_it_is_back()
    await deployment.handed_in()
    answered, counted = deployment.answered, deployment.counted(acme.connection_id)
    assert 0 <= counted["allowed"] + counted["refused"] - answered.total() <= under_way
    assert 0 <= deployment.charged(CLOSED) - answered[CLOSED, 200] <= under_way
