"""A worker is killed while a pace is learned: the others go on with what all of them have learned."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import aiohttp
import pytest
import redis

from limiter.core import keys
from limiter.models import QuotaLimit, QuotaPolicy
from quota_platform.sandbox import Running
from quota_platform.sandbox.fields import Fields
from tenants.models import Connection
from tests.patience import HANG_S
from tests.web_process import WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.paced]
PER_MINUTE, DEMAND = 300, 12.5
LEARNING_S, AFTER_S = 25, 60


class Callers:
    """Calls at random, each to a worker at random that still lives."""

    def __init__(self, session: aiohttp.ClientSession, nodes: list[WebProcess], key: str) -> None:
        self._session, self._key = session, key
        self.nodes = nodes
        self._rng = random.Random(5)

    async def offer(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as calls:
            while time.monotonic() < end:
                calls.create_task(self._call(self._rng.choice(self.nodes)))
                await asyncio.sleep(self._rng.expovariate(DEMAND))

    async def _call(self, node: WebProcess) -> None:
        headers = {"X-API-Key": self._key, "Content-Type": "application/json"}
        async with self._session.post(f"{node.url}/invoke/lookupOrder", data=b"{}", headers=headers) as response:
            await response.read()


def upstream(sandbox: Running) -> tuple[int, int]:
    """Requests, and those that ran."""
    by_status = [entry.status for entry in sandbox.state.log.entries() if entry.path.startswith("/webactions")]
    return len(by_status), by_status.count(200)


async def test_a_killed_worker_takes_nothing_of_a_learned_pace_with_it(
    acme_key: str,
    connection: Connection,
    sandbox: Running,
    base_policy: QuotaPolicy,
    tmp_path: Path,
    redis_url: str,
    raw: redis.Redis,
) -> None:
    connection.pace = Connection.Pace.LEARN
    await asyncio.to_thread(connection.save)
    await QuotaLimit.objects.filter(policy=base_policy).aupdate(quota=1_000_000)
    sandbox.state.unit_limits.put(Fields({"per_minute": PER_MINUTE, "burst": 10, "flavour": "retry_after"}))
    evidence = keys.pace_evidence(connection.pk)
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address}
    with web_processes(*(WebProcess(tmp_path, settings) for _ in range(3))) as nodes:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HANG_S)) as session:
            for node in nodes:
                await node.until_ready(session)
            callers = Callers(session, nodes, acme_key)
            await callers.offer(LEARNING_S)
            learned = raw.hget(evidence, "base")
            nodes[0].kill()
            assert learned is not None and raw.hget(evidence, "base") == learned
            callers.nodes = nodes[1:]
            requests, ran = upstream(sandbox)
            await callers.offer(AFTER_S)
            assert raw.hget(evidence, "starts") is not None and raw.exists(keys.pace(connection.pk))
    later, of_these = (after - before for after, before in zip(upstream(sandbox), (requests, ran), strict=True))
    assert later / of_these <= 1.05
    assert of_these >= 0.85 * PER_MINUTE * AFTER_S / 60
