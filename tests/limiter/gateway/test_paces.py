"""The pace of an upstream holds the calls of all workers, which learn it together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from limiter.core import keys
from limiter.core.store import Store
from limiter.gateway.paces import Paces
from limiter.models import QuotaPolicy
from limiter.record import events
from limiter.record.explain import explain
from quota_platform.sandbox import Running
from tenants.models import Connection
from tenants.spec_rows import connection_spec
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


class Heard(Store):
    """A store that only keeps what scripts are given."""

    def __init__(self) -> None:
        self.arguments: list[tuple[Any, ...]] = []

    async def run(self, script: Any, names: Any, *arguments: Any) -> Any:
        self.arguments.append(arguments)
        return ""


async def test_a_report_holds_since_when_calls_ran_and_the_wait_of_the_one_turned_away(connection: Connection) -> None:
    store, spec = Heard(), replace(connection_spec(connection), pace="learn")
    paces = Paces(store)
    paces.ran(spec, latency_us=2_000_000)
    paces.ran(spec, latency_us=4_000_000)
    await paces.pushed_back(spec, wait_s=40, took_us=90_000)
    ((*_, ago_us, said_us, shared, away_us),) = store.arguments
    assert ago_us >= 3_000_000
    assert (said_us, shared, away_us) == (40_000_000, 0, 90_000)
    await paces.drain()


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
