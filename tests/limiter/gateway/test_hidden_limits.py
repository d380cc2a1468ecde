"""Units that publish no limit, over real HTTP: how many requests reach them for each call that runs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from limiter.core import keys
from limiter.core.pacing import pace_or_none
from limiter.models import QuotaLimit, QuotaPolicy
from quota_platform.sandbox import Running
from quota_platform.sandbox.fields import Fields
from tenants.models import Connection
from tests.limiter.gateway.arrivals import every_second
from tests.limiter.gateway.two_workers import TwoWorkers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.paced]

PER_MINUTE, DEMAND = 300, 12.5
"""Of the limit, and calls a second: two and a half times as many."""
EVENLY = 7
"""Calls a second, evenly. Only each second one might be sent if the upstream took single calls."""
USED = 0.95
LASTS_S, LEARNING_S, FOLLOWED_S = 120, 90, 120
STOOD_STILL_S, TRIES = 0.5, 3
"""A pace learned while the machine stands still is wrong for minutes."""
FLAVOURS: dict[str, dict[str, Any]] = {
    "bucket": {"burst": 10},
    "sliding window": {"window": "sliding"},
    "fixed window": {"window": "fixed"},
    "bucket that does not say when": {"burst": 10, "flavour": "bare"},
    "bucket that gives a date": {"burst": 10, "flavour": "retry_after_date"},
    "bucket that is busy": {"burst": 10, "flavour": "busy"},
}


async def offer(workers: TwoWorkers, *, seconds: float, per_s: float = DEMAND, evenly: bool = False) -> float:
    """Calls at random, or evenly, each to a worker at random; the next does not wait for the one before. How late the
    latest came (s), since this machine may stand still.
    """
    rng, calls, late = random.Random(11), set(), 0.0
    due = time.monotonic()
    end = due + seconds
    while due < end:
        caller = rng.choice(workers.callers)
        made = caller.call("POST", "/invoke/lookupOrder", body=b"{}", headers=[("X-API-Key", workers.key)])
        calls.add(task := asyncio.ensure_future(made))
        task.add_done_callback(calls.discard)
        due += 1 / per_s if evenly else rng.expovariate(per_s)
        await asyncio.sleep(due - time.monotonic())
        late = max(late, time.monotonic() - due)
    await asyncio.gather(*calls)
    return late


def upstream(sandbox: Running) -> tuple[int, int]:
    """Requests, and those that ran."""
    by_status = [entry.status for entry in sandbox.state.log.entries() if entry.path.startswith("/webactions")]
    return len(by_status), by_status.count(200)


def limit(sandbox: Running, per_minute: int, **more: Any) -> None:
    sandbox.state.unit_limits.put(Fields({"per_minute": per_minute, "flavour": "retry_after", **more}))


@pytest_asyncio.fixture
async def learning(connection: Connection, base_policy: QuotaPolicy) -> Connection:
    connection.pace = Connection.Pace.LEARN
    await asyncio.to_thread(connection.save)
    await QuotaLimit.objects.filter(policy=base_policy).aupdate(quota=1_000_000)
    return connection


async def pace(workers: TwoWorkers, connection: Connection) -> float:
    """Calls a minute; 0 without one."""
    name = keys.pace(connection.pk)
    found = pace_or_none(await workers.runtimes[0].store.command("GET", name, key=name), [None, None])
    return 0 if found is None else found.per_minute


async def paces_while_offered(workers: TwoWorkers, connection: Connection) -> tuple[list[float], float]:
    """One look a second; how late a call was (:func:`offer`)."""
    seen = []
    async with asyncio.TaskGroup() as offering:
        offered = offering.create_task(offer(workers, seconds=FOLLOWED_S))
        async for _ in every_second(FOLLOWED_S):
            seen.append(await pace(workers, connection))
    return seen, offered.result()


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_hidden_limit_is_used_and_hardly_exceeded(
    acme_key: str, redis_url: str, sandbox: Running, learning: Connection, flavour: str, count: int
) -> None:
    limit(sandbox, PER_MINUTE, **FLAVOURS[flavour])
    workers = TwoWorkers(acme_key, redis_url, sandbox, pauses=True, count=count)
    async with workers.running():
        await offer(workers, seconds=LEARNING_S)
        assert await pace(workers, learning) > 0
        for _ in range(TRIES):
            (_, before), began = upstream(sandbox), time.monotonic()
            await offer(workers, seconds=LASTS_S)
            lasted_s = time.monotonic() - began
            requests, ran = upstream(sandbox)
            used = (ran - before) / (PER_MINUTE * lasted_s / 60)
            if used >= USED:
                break
    assert requests / ran <= 1.05, "learning included"
    assert used >= USED, "in two minutes at least; docs/upstream-unit.md has the means"
    assert sandbox.state.conduct.public()["breaches"]["sooner_same_call"] == 0


async def test_callers_that_come_evenly_use_a_bucket_too(
    acme_key: str, redis_url: str, sandbox: Running, learning: Connection
) -> None:
    limit(sandbox, PER_MINUTE, burst=10)
    workers = TwoWorkers(acme_key, redis_url, sandbox, pauses=True)
    async with workers.running():
        await offer(workers, seconds=LEARNING_S, per_s=EVENLY, evenly=True)
        (_, before), began = upstream(sandbox), time.monotonic()
        await offer(workers, seconds=LASTS_S, per_s=EVENLY, evenly=True)
        lasted_s = time.monotonic() - began
    requests, ran = upstream(sandbox)
    assert requests / ran <= 1.05, "learning included"
    assert ran - before >= USED * PER_MINUTE * lasted_s / 60


def in_flight(sandbox: Running, per_minute: int) -> None:
    """As many calls of a second at once as make so many a minute."""
    sandbox.state.put_latency({"ms": 1000})
    sandbox.state.unit_limits.put(Fields({"concurrency": per_minute // 60, "flavour": "retry_after"}))


@pytest.mark.parametrize(
    "to",
    [partial(limit, burst=10), partial(limit, window="sliding"), partial(limit, window="fixed"), in_flight],
    ids=["bucket", "sliding window", "fixed window", "calls in flight"],
)
async def test_a_limit_that_rises_fivefold_and_falls_again_is_followed(
    acme_key: str,
    redis_url: str,
    sandbox: Running,
    learning: Connection,
    to: Callable[[Running, int], None],
) -> None:
    """One run of a minute and a half and twice two minutes: the mean of many is bounded in virtual time (test_pace)."""
    workers, low, high = TwoWorkers(acme_key, redis_url, sandbox, pauses=True), 60, 300
    async with workers.running():
        to(sandbox, low)
        late = await offer(workers, seconds=LEARNING_S)
        for _ in range(TRIES):
            to(sandbox, high)
            rising, late_up = await paces_while_offered(workers, learning)
            to(sandbox, low)
            falling, late_down = await paces_while_offered(workers, learning)
            followed = max(rising) >= 0.95 * high and min(falling) <= 1.15 * low
            late = max(late, late_up, late_down)
            if followed or late < STOOD_STILL_S:
                break
    assert followed, (max(rising), min(falling))
    requests, ran = upstream(sandbox)
    assert requests / ran <= 1.08
