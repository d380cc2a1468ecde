"""Units that publish no limit, over real HTTP: how many requests reach them for each call that runs."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from limiter.core import keys
from limiter.models import QuotaLimit, QuotaPolicy
from quota_platform.sandbox import Running
from quota_platform.sandbox.fields import Fields
from tenants.models import Connection
from tests.limiter.gateway.two_workers import TwoWorkers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PER_MINUTE = 600
SECONDS = 60
FLAVOURS: dict[str, dict[str, Any]] = {
    "bucket": {"burst": 10},
    "sliding window": {"window": "sliding", "window_seconds": 10},
    "fixed window": {"window": "fixed", "window_seconds": 10},
}


async def offer(workers: TwoWorkers, *, per_second: float, seconds: float) -> None:
    """Calls at random, each to a worker at random; the next does not wait for the one before."""
    rng, end, calls = random.Random(11), time.monotonic() + seconds, set()
    while time.monotonic() < end:
        caller = rng.choice(workers.callers)
        made = caller.call("POST", "/invoke/lookupOrder", body=b"{}", headers=[("X-API-Key", workers.key)])
        calls.add(task := asyncio.ensure_future(made))
        task.add_done_callback(calls.discard)
        await asyncio.sleep(rng.expovariate(per_second))
    await asyncio.gather(*calls)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_hidden_limit_is_used_and_hardly_exceeded(
    acme_key: str,
    redis_url: str,
    sandbox: Running,
    connection: Connection,
    base_policy: QuotaPolicy,
    flavour: str,
    count: int,
) -> None:
    connection.pace = Connection.Pace.LEARN
    await asyncio.to_thread(connection.save)
    await QuotaLimit.objects.filter(policy=base_policy).aupdate(quota=1_000_000)
    hidden = {"per_minute": PER_MINUTE, "flavour": "retry_after", **FLAVOURS[flavour]}
    sandbox.state.unit_limits.put(Fields(hidden))
    workers = TwoWorkers(acme_key, redis_url, sandbox, pauses=True, count=count)
    async with workers.running():
        await offer(workers, per_second=2.5 * PER_MINUTE / 60, seconds=SECONDS)
        assert await workers.runtimes[0].store.command("EXISTS", keys.pace(connection.pk), key=keys.pace(connection.pk))
    entries = [entry for entry in sandbox.state.log.entries() if entry.path.startswith("/webactions")]
    ran = sum(entry.status == 200 for entry in entries)
    assert len(entries) / ran <= 1.05
    assert ran >= 0.9 * PER_MINUTE * SECONDS / 60
    assert sandbox.state.conduct.public()["breaches"]["sooner_same_call"] == 0
