"""Retries of all workers together stay within one budget for each connection, whatever becomes of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import redis

from limiter.core import keys
from limiter.core.pausing import pause
from limiter.core.peers import Peers
from limiter.core.retrying import Turn
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.gateway.retries import Retries
from limiter.models import QuotaPolicy
from limiter.stores.pipeline import Address
from limiter.stores.pool import PoolSettings, StorePool
from limiter.upstream.call import UpstreamCall
from limiter.upstream.clock import Clock
from limiter.upstream.retry import Budget
from quota_platform.embedded import free_port
from quota_platform.sandbox import Running
from tenants.directory import ActionSpec
from tenants.models import Connection, Tenant
from tenants.spec_rows import connection_spec
from tests.limiter.gateway.two_workers import TwoWorkers, sandbox_behind
from tests.patience import HANG_S
from tests.web_process import WebProcess, web_processes

pytestmark = pytest.mark.django_db(transaction=True)
CALLS = 30
"""Of each worker; each fails, and may be repeated three times."""


async def at_once(seconds: float) -> None:
    """The waits of retries are chance's, and no matter here."""
    await asyncio.sleep(0)


@pytest.fixture
def sandbox(connection: Connection, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with sandbox_behind(connection, monkeypatch) as started:
        connection.max_retries, connection.breaker_failure_percent = 3, 0
        connection.save()
        acme.actions.update(idempotent=True)
        yield started


@pytest_asyncio.fixture
async def workers(
    acme_key: str, redis_url: str, sandbox: Running, base_policy: QuotaPolicy
) -> AsyncIterator[TwoWorkers]:
    made = TwoWorkers(acme_key, redis_url, sandbox, clock=Clock(sleep=at_once))
    async with made.running():
        yield made


def sent(sandbox: Running) -> int:
    """Requests that reached the upstream, tokens left out."""
    return sum(entry.path != "/auth/token" for entry in sandbox.state.log.entries())


async def test_retries_of_two_workers_are_a_tenth_of_their_calls_together_and_ten_saved_up(
    workers: TwoWorkers,
) -> None:
    workers.sandbox.state.faults.add({"fault": "500"})
    seen = [await workers.call(worker=number % 2) for number in range(2 * CALLS)]
    assert {answered.status for answered in seen} == {500}
    assert sent(workers.sandbox) == 2 * CALLS + 10 + 2 * CALLS // 10


async def test_a_call_that_needs_no_retry_leaves_the_budget_alone(workers: TwoWorkers, connection: Connection) -> None:
    assert [(await workers.call(worker=number % 2)).status for number in range(10)] == [200] * 10
    name = keys.retries(connection.pk)
    assert await workers.runtimes[0].store.command("EXISTS", name, key=name) == 0


async def test_calls_of_one_worker_are_retries_of_another(workers: TwoWorkers, connection: Connection) -> None:
    store, spec = workers.runtimes[0].store, connection_spec(connection)
    retries, budgets = Retries(store, Peers(expected=2)), [Budget(), Budget()]
    spent = [(await retries.draw(spec, budgets[0], within_s=1)).granted for _ in range(11)]
    assert spent == [True] * 10 + [False]
    for _ in range(20):
        budgets[1].earn()
    drawn = [(await retries.draw(spec, budgets[number], within_s=1)).granted for number in (0, 1, 0, 0)]
    assert drawn == [False, True, True, False], "reported when the other worker draws itself"
    assert budgets[1].calls == 0


async def test_a_retry_is_not_sent_in_a_pause_that_outlasts_its_call(
    workers: TwoWorkers, connection: Connection, acme: Tenant
) -> None:
    """Pushback of another worker's call, since the decision that let this one through."""
    workers.sandbox.state.faults.add({"fault": "500", "count": 1})
    store, client = workers.runtimes[1].store, workers.runtimes[0].upstream
    await pause(store, connection.pk, status=429, said_us=600 * MICROS, max_us=900 * MICROS)
    spec, action = connection_spec(connection), ActionSpec(1, "lookupOrder", idempotent=True)
    response = await client.invoke(UpstreamCall(spec, action, tenant_id="acme", request_id="r", body=b"{}"))
    assert (response.status, response.attempts) == (500, 1)
    assert (await workers.call(worker=1)).status == 429


async def test_without_the_store_each_worker_has_its_share_of_what_is_saved_up(connection: Connection) -> None:
    nowhere = Store(StorePool(Address(host="127.0.0.1", port=free_port()), PoolSettings(probe_ms=60_000)))
    spec, budget = connection_spec(connection), Budget()
    retries = Retries(nowhere, Peers(expected=4))
    drawn = [await retries.draw(spec, budget, within_s=1) for _ in range(3)]
    assert drawn == [Turn(True, 0), Turn(True, 0), Turn(False, 0)], "a quarter of ten"
    for _ in range(10):
        budget.earn()
    assert (await retries.draw(spec, budget, within_s=1)).granted, "and a tenth of its own calls"
    assert budget.calls == 10, "which the budget of all workers gets when the store is back"
    assert await retries.turn(spec, within_s=1) == Turn(True, 0)
    await nowhere.close()


@pytest.mark.slow
async def test_a_killed_worker_takes_no_more_than_its_own_retries_with_it(
    acme_key: str,
    connection: Connection,
    sandbox: Running,
    base_policy: QuotaPolicy,
    tmp_path: Path,
    redis_url: str,
    raw: redis.Redis,
) -> None:
    """The one that is left draws on what both have left, and on its own calls."""
    sandbox.state.faults.add({"fault": "500"})
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address}
    headers = {"X-API-Key": acme_key, "Content-Type": "application/json"}
    with web_processes(*(WebProcess(tmp_path, settings) for _ in range(2))) as nodes:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HANG_S)) as session:

            async def call(node: WebProcess) -> int:
                async with session.post(f"{node.url}/invoke/lookupOrder", data=b"{}", headers=headers) as response:
                    await response.read()
                return response.status

            for node in nodes:
                await node.until_ready(session)
            assert set(await asyncio.gather(*(call(nodes[0]) for _ in range(CALLS)))) == {500}
            before = sent(sandbox)
            nodes[0].kill()
            assert raw.exists(keys.retries(connection.pk))
            assert set(await asyncio.gather(*(call(nodes[1]) for _ in range(CALLS)))) == {500}
    assert CALLS + 10 <= before <= CALLS + 10 + CALLS // 10
    assert 2 * CALLS + 10 <= sent(sandbox) <= 2 * CALLS + 10 + 2 * CALLS // 10
