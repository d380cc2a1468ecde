"""Reads for the live pages: once a second for all, and no viewer waits for another's data."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from dashboard import charting, stored, topics
from dashboard.broadcast import EVERY_S
from dashboard.deltas import Frame
from dashboard.live import SETS_PER_S, Live
from dashboard.stored import StoredReadings
from limiter import clients
from limiter.core import latency
from limiter.demand import blocks, keeping, recorder
from limiter.demand.points import Demand, Level
from limiter.gateway.runtime import Runtime
from limiter.models import QuotaPolicy
from limiter.record.models import MultiplierChange, UsageMinute
from tenants.models import Tenant
from tests.limiter.reports.given import event
from tests.patience import HANG_S, eventually

pytestmark = pytest.mark.django_db(transaction=True)
BOTH = topics.overview(["acme", "globex"])


@pytest.fixture
async def runtime(
    redis_url: str, base_policy: QuotaPolicy, acme: Tenant, globex: Tenant, settings: Any
) -> AsyncIterator[Runtime]:
    """It is patient: a store that is slow for a moment would be unavailable to it, and its calls not be counted."""
    patient = dict.fromkeys(("LIMITER_CONNECT_TIMEOUT_MS", "LIMITER_SOCKET_TIMEOUT_MS"), 10_000)
    settings.ENV = settings.ENV.model_copy(update=patient)
    runtime = Runtime.from_settings()
    await runtime.open()
    yield runtime
    await runtime.close()


async def call(runtime: Runtime, tenant_id: str, action_id: str) -> None:
    caller = await runtime.gateway.callers.on_behalf(tenant_id)
    await runtime.gateway.decide(caller, runtime.gateway.target(caller, action_id), request_id="r")


def used(frame: Frame) -> dict[str, int]:
    return {row["id"]: row["used"] for row in frame["rows"]}


async def test_a_call_shows_in_the_next_frame(runtime: Runtime) -> None:
    live = Live(runtime, every_s=0)
    await call(runtime, "acme", "lookupOrder")
    await live.read(BOTH.tenant_ids)
    assert used(await live.frame(BOTH)) == {"acme|lookupOrder|minute": 1}
    await call(runtime, "globex", "createCase")
    await live.read(BOTH.tenant_ids)
    assert used(await live.frame(BOTH)) == {"acme|lookupOrder|minute": 1, "globex|createCase|minute": 1}
    await live.close()


async def over_the_limit(runtime: Runtime) -> None:
    """A hundred and two calls, of which two are refused, and nobody watches."""
    for _ in range(102):
        await call(runtime, "acme", "lookupOrder")
    await runtime.gateway.demand.send()


async def test_a_refusal_counts_before_it_is_in_the_database(runtime: Runtime) -> None:
    live = Live(runtime, every_s=0)
    await live.read(BOTH.tenant_ids)
    await over_the_limit(runtime)
    await live.read(BOTH.tenant_ids)
    (row,) = (await live.frame(BOTH))["rows"]
    assert (row["state"], row["refused_15m"]) == ("stop", 2)
    await live.close()


async def test_calls_that_a_shadow_limit_would_have_refused_are_counted_apart(
    runtime: Runtime, base_policy: QuotaPolicy
) -> None:
    await QuotaPolicy.objects.filter(pk=base_policy.pk).aupdate(mode=QuotaPolicy.Mode.SHADOW)
    live = Live(runtime, every_s=0)
    await over_the_limit(runtime)
    await live.read(BOTH.tenant_ids)
    (row,) = (await live.frame(BOTH))["rows"]
    assert (row["state"], row["refused_15m"], row["shadow_15m"]) == ("shadow", 0, 2)
    await live.close()


def test_stored_refusals_are_counted_apart_from_those_of_shadow_limits(acme: Tenant) -> None:
    event(1, at=timezone.now(), count=3)
    event(2, at=timezone.now(), count=5, shadow=True)
    found, kind = stored.read(["acme"]), ("acme", "lookupOrder", "minute")
    assert (found.refused, found.shadow) == ({kind: 3}, {kind: 5})


@pytest.mark.parametrize("stored_by_now", [False, True], ids=["in the store", "in the database"])
async def test_a_page_that_is_opened_after_an_incident_shows_it_whole(runtime: Runtime, stored_by_now: bool) -> None:
    await over_the_limit(runtime)
    if stored_by_now:
        await runtime.heartbeat.report()
        await asyncio.to_thread(store_demand)
    live = Live(runtime, every_s=0)
    await live.read(["acme"])
    frame = await live.frame(topics.tenant("acme"))
    summary = frame["summary"]
    assert (summary["state"], summary["sentence"]["calls"], summary["sentence"]["quarter"]) == ("stop", 2, 2)
    (row,) = frame["rows"]
    assert (row["state"], row["refused_15m"], row["peak_1h"]) == ("stop", 2, 100)
    overview = topics.overview(["acme"])
    figures = (await live.frame(overview))["figures"]
    assert [figures[name]["value"] for name in ("calls_per_min", "refused_per_min")] == [102, 2]
    for given in ({"range": "24h"}, {"range": "7d", "beside": "yesterday"}, {"from": ago(60), "to": ago(-60)}):
        columns = (await live.chart(topics.tenant("acme"), charting.wanted(given)))["columns"]
        assert [max(filter(None, columns[name])) for name in ("used", "limit")] == [100, 100]
        assert sum(filter(None, columns["refused"])) == 2
    assert len(await live.before(overview)) == 120
    await live.close()


async def test_a_chart_has_the_p95_and_the_cuts_of_the_time_before_the_page_was_opened(runtime: Runtime) -> None:
    at = int(time.time()) - 200
    await asyncio.to_thread(slow_and_cut, at)
    live = Live(runtime, every_s=0)

    async def with_p95() -> dict[str, list[float | None]] | None:
        await live.read(["acme"])
        frame = await live.frame(topics.tenant("acme"))
        found: dict[str, Any] = frame["charts"].get("acme|lookupOrder|minute", {"columns": {}})["columns"]
        return found if any(found.get("p95_ms", [])) else None

    found = await eventually(with_p95, what="p95 from stored usage")
    assert found is not None
    assert max(filter(None, found["p95_ms"])) == pytest.approx(2_000, rel=0.2)
    cut_to = [multiplier for multiplier in found["multiplier"] if multiplier is not None]
    assert (cut_to[0], min(cut_to), cut_to[-1]) == (1.0, 0.4, 1.0)
    await live.close()


def slow_and_cut(at: int) -> None:
    """Calls that took two seconds, limits that were cut to 40 % then, and whole again a minute later."""
    demand = {"acme": Demand({}, {("lookupOrder", "minute"): {at: Level(20, 100, 100)}})}
    blocks.add(at // 60 * 60, 60, demand)
    minute = datetime.fromtimestamp(at // 60 * 60, UTC)
    slow = {str(latency.bucket(2_000_000)): 20}
    UsageMinute.objects.create(tenant_id="acme", action_id="lookupOrder", start=minute, latency_histogram=slow)
    for number, (seconds, before, after) in enumerate([(10, 1.0, 0.4), (70, 0.4, 1.0)]):
        MultiplierChange.objects.create(
            stream_id=f"{number}-0",
            at=datetime.fromtimestamp(at + seconds, UTC),
            tenant_id="acme",
            before=before,
            after=after,
            p95_ms=2_000,
            samples=20,
            threshold_ms=800,
        )


async def test_the_peak_of_the_last_hour_counts_what_nobody_watched(runtime: Runtime) -> None:
    start = int(time.time()) // 60 * 60
    for minutes, used_then in ((40, 70), (62, 99)):
        level = {start - minutes * 60: Level(used_then, 100, 100)}
        demand = {"acme": Demand({}, {("lookupOrder", "minute"): level})}
        await asyncio.to_thread(blocks.add, start - minutes * 60, 60, demand)
    await call(runtime, "acme", "lookupOrder")
    live = Live(runtime, every_s=0)
    await live.read(["acme"])
    (row,) = (await live.frame(topics.tenant("acme")))["rows"]
    assert row["peak_1h"] == 70
    await live.close()


async def test_a_refusal_turns_the_state_with_the_first_frame_after_it(runtime: Runtime) -> None:
    """Workers send their demand twice a second and frames come every second: that makes two seconds at most."""
    assert recorder.EVERY_S + EVERY_S <= 2
    live, topic = Live(runtime, every_s=0), topics.tenant("acme")
    await live.read(topic.tenant_ids)
    assert (await live.frame(topic))["summary"]["state"] == "ok"
    await over_the_limit(runtime)  # and sends once
    await live.read(topic.tenant_ids)
    assert (await live.frame(topic))["summary"]["state"] == "stop"
    await live.close()


def ago(seconds: int) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()


def store_demand() -> None:
    """What the task does once these minutes are over."""
    client = clients.client()
    keeping.store_all(client, now_s=time.time() + 120)
    client.close()
    connections.close_all()


async def test_a_suspended_tenant_is_said_to_be_so_and_shows_no_old_rows(runtime: Runtime, acme: Tenant) -> None:
    live = Live(runtime, every_s=0)
    await call(runtime, "acme", "lookupOrder")
    await live.read(["acme"])
    assert (await live.frame(topics.tenant("acme")))["rows"]
    acme.status = Tenant.Status.SUSPENDED
    await acme.asave()
    await eventually(lambda: _is_suspended(runtime), what="the edit to reach the worker")
    await live.read(["acme"])
    frame = await live.frame(topics.tenant("acme"))
    assert (frame["rows"], frame["summary"]["sentence"]["code"]) == ([], "tenant.suspended")
    await live.close()


async def _is_suspended(runtime: Runtime) -> bool:
    held = runtime.snapshot.held_tenant("acme")
    return held is not None and not held.tenant.active


async def test_a_reading_is_shared_within_a_second(runtime: Runtime) -> None:
    read: list[frozenset[str]] = []
    now = 0.0

    def counted(tenant_ids: frozenset[str]) -> StoredReadings:
        read.append(tenant_ids)
        return stored.read(tenant_ids)

    live = Live(runtime, read_stored=counted, clock=lambda: now)

    async def seen() -> dict[str, int]:
        await call(runtime, "acme", "lookupOrder")
        await live.read(BOTH.tenant_ids)
        return used(await live.frame(BOTH))

    assert [await seen() for _ in range(20)] == [{"acme|lookupOrder|minute": 1}] * 20
    assert read == [BOTH.tenant_ids]
    now = 1.0
    assert await seen() == {"acme|lookupOrder|minute": 21}
    await live.close()


async def test_many_different_sets_of_tenants_take_turns_at_the_database(runtime: Runtime) -> None:
    read: list[frozenset[str]] = []
    now = 0.0

    def counted(tenant_ids: frozenset[str]) -> StoredReadings:
        read.append(tenant_ids)
        return StoredReadings()

    live = Live(runtime, read_stored=counted, clock=lambda: now)
    sets = [topics.overview(["acme", f"other-{number}"]) for number in range(2 * SETS_PER_S)]

    async def frames() -> int:
        before = len(read)
        for each in sets:
            await live.read(each.tenant_ids)
            await live.frame(each)
        return len(read) - before

    assert await frames() == len(sets)
    now = 1.0
    assert await frames() == 0
    now = 2.0
    assert await frames() == len(sets)
    await live.close()


async def test_a_database_that_is_slow_for_some_delays_no_others(runtime: Runtime) -> None:
    hurry = threading.Event()

    def slow_for_acme(tenant_ids: frozenset[str]) -> StoredReadings:
        if "acme" in tenant_ids:
            hurry.wait(HANG_S)
        return stored.read(tenant_ids)

    live = Live(runtime, read_stored=slow_for_acme)
    await live.read(BOTH.tenant_ids)
    held_up = asyncio.ensure_future(live.frame(topics.tenant("acme")))
    assert (await live.frame(topics.tenant("globex")))["kind"] == "full"
    assert not held_up.done()
    hurry.set()
    assert (await held_up)["kind"] == "full"
    await live.close()


async def test_without_the_database_the_numbers_continue_and_the_page_shows_it(runtime: Runtime) -> None:
    away = False

    def sometimes(tenant_ids: frozenset[str]) -> StoredReadings:
        if away:
            raise OperationalError("gone")
        return stored.read(tenant_ids)

    live = Live(runtime, every_s=0, read_stored=sometimes)
    await live.read(BOTH.tenant_ids)
    assert (await live.frame(BOTH))["summary"]["degraded"] is None
    away = True
    await call(runtime, "acme", "lookupOrder")
    await live.read(BOTH.tenant_ids)
    frame = await live.frame(BOTH)
    assert used(frame) == {"acme|lookupOrder|minute": 1}
    assert frame["summary"]["degraded"]["code"] == "degraded.database"
    away = False
    await live.read(BOTH.tenant_ids)
    assert (await live.frame(BOTH))["summary"]["degraded"] is None
    await live.close()


async def test_a_tenant_that_nobody_watches_any_more_is_forgotten(runtime: Runtime) -> None:
    live = Live(runtime, kept_s=0)
    await live.read(BOTH.tenant_ids)
    await live.frame(BOTH)
    live.forget([BOTH])
    assert len(live) == 3
    live.forget([])
    assert len(live) == 0
    await live.close()
