"""The pace of an upstream holds the calls of all workers, which learn it together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
import redis
from django.contrib.auth.models import User
from django.test import Client

from limiter.core import keys
from limiter.core.store import Store
from limiter.gateway.paces import Paces
from limiter.models import QuotaPolicy
from limiter.record import events
from limiter.record.explain import explain
from quota_platform.sandbox import Running
from tenants.models import Connection
from tenants.spec_rows import connection_spec
from tests.api_client import as_read, editor
from tests.filled_form import as_seen
from tests.limiter.gateway.two_workers import TwoWorkers
from tests.patience import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest_asyncio.fixture
async def workers(
    acme_key: str, redis_url: str, sandbox: Running, base_policy: QuotaPolicy
) -> AsyncIterator[TwoWorkers]:
    made = TwoWorkers(acme_key, redis_url, sandbox, pauses=True)
    async with made.running():
        yield made


async def set_pace(connection: Connection, pace: str, per_minute: int | None = None) -> None:
    connection.pace, connection.pace_per_minute = pace, per_minute
    await asyncio.to_thread(connection.save)


async def stored(workers: TwoWorkers, name: str) -> bool:
    return bool(await workers.runtimes[0].store.command("EXISTS", name, key=name))


async def test_a_pace_that_a_person_sets_holds_the_calls_of_every_worker(
    workers: TwoWorkers, connection: Connection
) -> None:
    await set_pace(connection, "fixed", 1)
    seen = [await workers.call(worker=number % 2) for number in range(4)]
    assert [answered.status for answered in seen] == [200, 200, 200, 429], "the first finds no pace yet"
    held = seen[-1]
    assert held.json["type"] == "urn:quota-platform:problem:upstream-overloaded"
    assert "above the pace" in held.json["detail"]
    assert 0 < int(held.headers["retry-after"]) <= 60
    store, stream = workers.runtimes[0].store, keys.events(connection.pk)
    (entry,) = await store.command("XRANGE", stream, "-", "+", key=stream)
    row = events.event(entry[0].decode(), entry[1][1].decode())
    data = await asyncio.to_thread(explain, row)
    assert data.sentence.startswith("This call was held back: it was above the pace of 1 call a minute")


async def test_a_pace_that_is_switched_off_holds_nobody(workers: TwoWorkers, connection: Connection) -> None:
    await set_pace(connection, "fixed", 600_000)
    assert (await workers.call()).status == 200
    assert await stored(workers, keys.pace(connection.pk))
    await set_pace(connection, "off")

    async def gone() -> bool:
        return (await workers.call()).status == 200 and not await stored(workers, keys.pace(connection.pk))

    await eventually(gone, what="a worker that follows the edit and takes the pace back")


def pin_in_the_admin(connection: Connection) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    page = f"/admin/tenants/connection/{connection.pk}"
    assert client.post(f"{page}/pin-pace/", as_seen(client, f"{page}/change/")).status_code == 302


def pin_through_the_api(connection: Connection) -> None:
    client, path = editor(), f"/api/connections/{connection.name}/"
    fields = {"pace": "fixed", "pace_per_minute": 1}
    assert client.patch(path, fields, format="json", headers=as_read(client, path)).status_code == 200


@pytest.mark.parametrize("pin", [pin_in_the_admin, pin_through_the_api])
async def test_a_pinned_pace_binds_every_worker_and_outlives_the_store(
    workers: TwoWorkers, connection: Connection, raw: redis.Redis, pin: Callable[[Connection], None]
) -> None:
    await set_pace(connection, "learn")
    raw.set(keys.pace(connection.pk), "60000000|60000000|0", ex=600)
    evidence = keys.pace_evidence(connection.pk)
    assert [(await workers.call(worker=number)).status for number in (0, 1)] == [200, 200]
    await asyncio.to_thread(pin, connection)
    assert {(await workers.call(worker=number)).status for number in (0, 1)} == {429}, "at once"
    for number in (0, 1):

        async def follows(worker: int = number) -> bool:
            """It learns no more."""
            raw.hset(evidence, "rate", "1")
            return (await workers.call(worker=worker)).status == 429 and not await stored(workers, evidence)

        await eventually(follows, what="a worker that follows the edit")
    raw.flushdb()
    seen = [(await workers.call(worker=number % 2)).status for number in range(6)]
    assert seen == [200, 200, 200, 429, 429, 429], "the first finds no pace yet"
    raw.delete(keys.pace(connection.pk))
    workers.sandbox.state.faults.add({"fault": "429", "count": 1, "headers": {"Retry-After": "1"}})
    assert (await workers.call(worker=0)).status == 429
    assert str(raw.get(keys.pace(connection.pk))).startswith("b'60000000|"), "whatever the upstream does"


class Heard(Store):
    """A store that only keeps what scripts are given."""

    def __init__(self) -> None:
        self.arguments: list[tuple[Any, ...]] = []

    async def run(self, script: Any, names: Any, *arguments: Any) -> Any:
        self.arguments.append(arguments)
        return b""


async def test_a_report_holds_since_when_calls_ran_and_the_wait_of_the_one_turned_away(connection: Connection) -> None:
    store, spec = Heard(), replace(connection_spec(connection), pace="learn")
    paces = Paces(store)
    paces.ran(spec, latency_us=2_000_000)
    paces.ran(spec, latency_us=4_000_000)
    await paces.pushed_back(spec, wait_s=40, took_us=90_000)
    ((*_, ago_us, said_us, shared, away_us, ended),) = store.arguments
    assert ago_us >= 3_000_000
    sent_ms = [int(each.partition(":")[0]) for each in ended.split()]
    assert len(sent_ms) == 2 and sent_ms[0] >= 2_000 and sent_ms[1] >= 4_000
    assert (said_us, shared, away_us) == (40_000_000, 0, 90_000)
    await paces.drain()


async def test_the_ends_of_calls_are_reported_where_tenants_share_the_pace_too(connection: Connection) -> None:
    store, spec = Heard(), replace(connection_spec(connection), pace="learn", shared=True)
    paces = Paces(store)
    paces.ran(spec, latency_us=2_000_000)
    await paces.pushed_back(spec, wait_s=1)
    ((*_, shared, _, ended),) = store.arguments
    assert shared == 1 and len(ended.split()) == 1
    await paces.drain()


async def test_where_calls_under_way_are_counted_an_end_is_reported_at_once(connection: Connection) -> None:
    """It lets the next call through; other reports wait, here for an hour."""

    class Counting(Heard):
        async def run(self, script: Any, names: Any, *arguments: Any) -> Any:
            await super().run(script, names, *arguments)
            return b"300.0|"

    store, spec = Counting(), replace(connection_spec(connection), pace="learn")
    paces = Paces(store, every_s=3600)
    await paces.pushed_back(spec, took_us=90_000)
    paces.held(spec)
    paces.ran(spec, latency_us=1_000_000)

    async def reported() -> bool:
        return len(store.arguments) == 2

    await eventually(reported, what="the report of the end, and of the call that was held back")
    assert store.arguments[1][1:3] == (1, 1)


async def test_runs_and_pushback_of_every_worker_make_the_pace(workers: TwoWorkers, connection: Connection) -> None:
    await set_pace(connection, "learn")
    refused: list[int] = []

    async def learned() -> bool:
        """One call of each worker, the first of them turned away."""
        workers.sandbox.state.faults.add({"fault": "429", "count": 1, "headers": {"Retry-After": "1"}})
        refused.append((await workers.call(worker=0)).status)
        await eventually(runs, what="the end of the pause")
        return await stored(workers, keys.pace(connection.pk))

    async def runs() -> bool:
        return (await workers.call(worker=1)).status == 200

    assert not await learned(), "once is nothing"
    await eventually(learned, what="a pace")
    assert set(refused) == {429}
    evidence = keys.pace_evidence(connection.pk)
    rate = await workers.runtimes[0].store.command("HGET", evidence, "rate", key=evidence)
    assert float(rate) > 0
