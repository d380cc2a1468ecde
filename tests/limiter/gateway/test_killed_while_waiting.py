"""A worker is killed while calls wait in it and hold units: the others serve theirs, and no unit is given twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import redis

from limiter.core import keys
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.sandbox import Running
from tenants.models import ApiKey, Tenant
from tests.patience import HANG_S, eventually
from tests.web_process import PATIENT, WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
WORKERS, CLIENTS = 4, 48
RATE, BURST = 8, 2
WAITS = "wait=120"


@dataclass
class Client:
    """A client that a balancer sends to one worker, and to the next one after its end. Half of them wait.

    Each has a key of its own: one that lost its worker comes early, and must not take the unit of another.
    """

    number: int
    nodes: list[WebProcess]
    key: str
    attempts: int = 0
    lost: int = 0
    served: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def waits(self) -> bool:
        return self.number // WORKERS % 2 == 0

    @property
    def node(self) -> WebProcess:
        return self.nodes[(self.number + self.lost) % WORKERS]

    async def call(self, session: aiohttp.ClientSession) -> None:
        headers = {"X-API-Key": self.key, "Content-Type": "application/json"} | (
            {"Prefer": WAITS} if self.waits else {}
        )
        while True:
            try:
                async with session.post(f"{self.node.url}/invoke/lookupOrder", data=b"{}", headers=headers) as response:
                    await response.read()
            except (aiohttp.ClientError, OSError):
                self.lost += 1
                continue
            self.attempts += 1
            if response.status == 200:
                self.served.set()
                return
            assert response.status == 429
            await asyncio.sleep(int(response.headers["Retry-After"]))


def _key(acme: Tenant, number: int) -> str:
    return ApiKey.objects.issue(name=f"client {number}", tenant=acme)[1]


async def a_quarter_served(clients: Sequence[Client]) -> bool:
    return sum(client.served.is_set() for client in clients) >= CLIENTS // 4


def now_us(raw: redis.Redis) -> int:
    seconds, micros = raw.time()
    return int(seconds) * 1_000_000 + int(micros)


async def clients_of_a_bucket(acme: Tenant) -> list[str]:
    """Their keys, under a policy that holds units for those it refuses."""
    policy = await QuotaPolicy.objects.acreate(name="Held", reserve_seconds=60)
    await QuotaLimit.objects.acreate(
        policy=policy, name="rate", algorithm="token_bucket", quota=RATE, burst=BURST, window_seconds=1
    )
    await Assignment.objects.acreate(policy=policy, target="tenant", tenant=acme)
    return [await asyncio.to_thread(_key, acme, number) for number in range(CLIENTS)]


async def test_a_killed_worker_costs_its_callers_a_retry_and_nobody_else_anything(
    acme: Tenant, sandbox: Running, tmp_path: Path, redis_url: str, raw: redis.Redis
) -> None:
    issued = await clients_of_a_bucket(acme)
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address, "MAX_WAIT_SECONDS": "120"} | PATIENT
    with web_processes(*(WebProcess(tmp_path, settings) for _ in range(WORKERS))) as nodes:
        timeout = aiohttp.ClientTimeout(HANG_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            for node in nodes:
                await node.until_ready(session)
            began = now_us(raw)
            clients = [Client(number, nodes, key) for number, key in enumerate(issued)]
            calls = [asyncio.create_task(client.call(session)) for client in clients]
            await eventually(lambda: a_quarter_served(clients), what="a quarter of the clients to be served")
            nodes[0].kill()
            await asyncio.wait_for(asyncio.gather(*calls), HANG_S)
            over = now_us(raw) - began
    all_kept(clients)
    allowed = int(raw.hget(keys.totals(acme.connection_id), "acme|allowed") or 0)
    assert CLIENTS <= allowed <= BURST + RATE * over / 1_000_000


def all_kept(clients: Sequence[Client]) -> None:
    """Each that lost no worker was served in its one call that waited, or at its first return."""
    untouched = [client for client in clients if not client.lost]
    assert len(untouched) < len(clients)
    assert [client for client in untouched if client.attempts > (1 if client.waits else 2)] == []
