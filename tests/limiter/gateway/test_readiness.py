"""A worker is ready while it may be sent calls: a fault that all workers share takes none of them out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from limiter.core import keys
from limiter.core.peers import Peers
from limiter.core.store import Store
from limiter.gateway.runtime import GatewaySettings, Runtime
from limiter.live.snapshot import Snapshot
from limiter.models import QuotaLimit, QuotaPolicy
from limiter.stores.errors import StoreError
from limiter.stores.pipeline import Address
from limiter.stores.pool import ClusterPool, Link, StorePool
from quota_platform import lean_urls
from quota_platform.embedded import free_port
from quota_platform.health import POLL_TOO_OLD_S
from quota_platform.server.draining import DRAINING
from tenants.models import Tenant
from tests.asgi import Answered, Caller
from tests.cluster import running_cluster
from tests.environment import VALKEY
from tests.limiter.core.given import PATIENT
from tests.limiter.gateway.conftest import FakeUpstream
from tests.limiter.workers import aside

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
pytest_plugins = ["tests.database_faults"]

Away = Callable[[], AbstractContextManager[None]]
BOUNDS = replace(PATIENT, probe_ms=60_000)


class Worker:
    """One that looks at edits when the test says so; ``seconds`` have passed on its clock."""

    def __init__(self, link: Link) -> None:
        self.seconds = 0.0
        self.state: dict[str, Any] = {}
        self.runtime = Runtime(
            store=Store(link),
            snapshot=Snapshot(capacity=100, clock=lambda: self.seconds),
            upstream=FakeUpstream(),
            gateway_settings=GatewaySettings(),
            peers=Peers(expected=2),
        )

    async def ready(self, *, signed: bool = False) -> Answered:
        token = settings.ENV.METRICS_TOKEN.get_secret_value()
        state = {"runtime": self.runtime, **self.state}
        app = lean_urls.handler()
        return await Caller(app, state).call(
            "GET", "/readyz", headers=[("Authorization", f"Bearer {token}")] if signed else []
        )

    async def says(self) -> tuple[int, str, list[str]]:
        answered = await self.ready()
        return answered.status, answered.json["status"], answered.json["reasons"]


@asynccontextmanager
async def worker(link: Link | None = None) -> AsyncIterator[Worker]:
    made = Worker(link or StorePool(Address.from_url(VALKEY.url), BOUNDS))
    await made.runtime.store.open()
    try:
        yield made
    finally:
        await made.runtime.close()


async def test_a_worker_that_lacks_nothing_is_ready_and_tells_strangers_no_more() -> None:
    async with worker() as ours:
        await ours.runtime.snapshot.look()
        answered = await ours.ready()
        assert (answered.status, answered.json) == (200, {"status": "ready", "reasons": []})


async def test_a_database_that_is_away_leaves_a_worker_in_service(database_away: Away) -> None:
    async with worker() as ours:
        await ours.runtime.snapshot.look()
        with database_away():
            ours.seconds += POLL_TOO_OLD_S
            assert await ours.says() == (200, "degraded", ["database-unavailable"])


async def test_a_store_that_is_away_leaves_a_worker_in_service() -> None:
    async with worker(StorePool(Address(host="127.0.0.1", port=free_port()), BOUNDS)) as ours:
        await ours.runtime.snapshot.look()
        assert await ours.says() == (200, "degraded", ["store-unavailable"])
        checks = (await ours.ready(signed=True)).json["checks"]
        assert [checks[name] for name in ("record", "queue")] == [{"known": False, "ok": None}] * 2, "nobody can tell"


async def test_a_lost_node_of_a_cluster_leaves_a_worker_in_service(tmp_path: Path) -> None:
    with running_cluster(tmp_path) as cluster:
        link = ClusterPool(Address.from_url(cluster.url), BOUNDS)
        async with worker(link) as ours:
            await ours.runtime.snapshot.look()
            lost = cluster.owner(keys.events(1))
            lost.server.kill()
            with contextlib.suppress(StoreError):
                await ours.runtime.store.command("XLEN", keys.events(1), key=keys.events(1))
            assert await ours.says() == (200, "degraded", ["store-unavailable"])


async def test_an_unusable_policy_leaves_a_worker_in_service_and_its_name_unsaid(
    acme: Tenant, base_policy: QuotaPolicy
) -> None:
    async with worker() as ours:
        await aside(lambda: QuotaLimit.objects.update(algorithm="hearsay"))
        await ours.runtime.snapshot.look()
        await ours.runtime.snapshot.tenant("acme")
        assert await ours.says() == (200, "degraded", ["policies-unusable"])
        assert "Base" not in (await ours.ready()).body.decode()
        details = (await ours.ready(signed=True)).json["checks"]
        assert "Base" in json.dumps(details["policies"]["problems"])


async def test_those_who_may_read_metrics_see_the_record_and_the_connections() -> None:
    async with worker() as ours:
        checks = (await ours.ready(signed=True)).json["checks"]
        assert set(checks) == {"policies", "database", "store", "connections", "record", "queue", "store_settings"}
        (seen,) = checks["store_settings"]["servers"].values()
        assert (checks["store_settings"]["known"], seen["eviction"], seen["persistence"]) == (
            True,
            "noeviction",
            "none",
        )
        assert (checks["record"]["known"], checks["record"]["events_waiting"]) == (True, 0)


async def test_only_a_check_that_is_not_ok_has_a_reason() -> None:
    async with worker(StorePool(Address(host="127.0.0.1", port=free_port()), BOUNDS)) as ours:
        await ours.runtime.snapshot.look()
        checks = (await ours.ready(signed=True)).json["checks"]
        assert {name: check["reason"] for name, check in checks.items() if "reason" in check} == {
            "store": "store-unavailable"
        }
        assert [name for name, check in checks.items() if check["ok"] is False] == ["store"]


async def test_a_worker_that_could_load_nothing_is_not_ready(database_away: Away) -> None:
    async with worker() as ours:
        with database_away():
            assert await ours.says() == (503, "starting", ["database-unavailable"])


async def test_a_worker_that_starts_without_the_database_serves_from_the_cache(
    acme: Tenant, base_policy: QuotaPolicy, database_away: Away
) -> None:
    async with worker() as before:
        await before.runtime.snapshot.tenant("acme")
    async with worker() as ours:
        with database_away():
            assert await ours.says() == (200, "degraded", ["database-unavailable"])
            assert await ours.runtime.snapshot.tenant("acme") is not None


async def test_a_worker_that_drains_is_not_ready_whatever_it_has() -> None:
    async with worker() as ours:
        await ours.runtime.snapshot.look()
        ours.state[DRAINING] = True
        assert await ours.says() == (503, "draining", [])
