"""Two thousand calls that wait in one web process: their weight, and their end when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import aiohttp
import pytest

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from tenants.models import Tenant
from tests.environment import VALKEY
from tests.limiter.gateway.test_hang_up import request
from tests.patience import eventually
from tests.web_process import WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("redis_url")]
CALLS = 2000
SETTINGS = {
    "REDIS_URL": VALKEY.url,
    "MAX_WAIT_SECONDS": "300",
    "MAX_WAITING_CALLS": str(CALLS),
    "MAX_WAITING_CALLS_PER_KEY": str(CALLS),
    "MAX_CONNECTIONS_PER_ADDRESS": "8000",
    "DRAIN_SECONDS": "5",
    "METRICS_NETWORKS": "127.0.0.0/8",
    "LIMITER_CONNECT_TIMEOUT_MS": "10000",  # a slow store is none that is unavailable
    "LIMITER_SOCKET_TIMEOUT_MS": "10000",
}

Caller = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def status_of(pid: int) -> dict[str, int]:
    """Memory in kB and threads of a process."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {line[0].rstrip(":"): int(line[1]) for line in lines if line[0] in ("VmRSS:", "Threads:")}


async def connected(node: WebProcess, key: str, *, preference: bytes) -> Caller:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    head = request(key, length=2).replace(b"Host: x", b"Host: x" + preference)
    writer.write(head + b"{}")
    return reader, writer


async def waiting(session: aiohttp.ClientSession, node: WebProcess) -> int:
    """As the process reports it, a second late at most."""
    async with session.get(f"{node.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("quota_waiting_calls{"))


async def test_two_thousand_waiting_calls_are_light_and_each_is_answered_when_the_process_stops(
    acme: Tenant, acme_key: str, tmp_path: Path
) -> None:
    policy = await QuotaPolicy.objects.acreate(name="None free", store_failure="closed")
    await QuotaLimit.objects.acreate(policy=policy, name="minute", quota=1, window_seconds=200)
    await Assignment.objects.acreate(policy=policy, target="tenant", tenant=acme)
    with web_processes(WebProcess(tmp_path, SETTINGS)) as (node,):
        async with aiohttp.ClientSession() as session:
            await node.until_ready(session)
            async with session.post(f"{node.url}/check/lookupOrder", headers={"X-API-Key": acme_key}) as response:
                assert response.status == 200
            warm = [await connected(node, acme_key, preference=b"") for _ in range(50)]
            for reader, writer in warm:
                await reader.readuntil(b"\r\n\r\n")
                writer.close()
            assert await waiting(session, node) == 0  # a scrape is written in a thread, which stays
            before = status_of(node.process.pid)
            callers = [await connected(node, acme_key, preference=b"\r\nPrefer: wait=300") for _ in range(CALLS)]

            async def all_wait() -> bool:
                return await waiting(session, node) == CALLS

            await eventually(all_wait, what="all calls to wait")
            after = status_of(node.process.pid)
            for _, writer in callers[:10]:
                writer.close()

            async def ten_left() -> bool:
                return await waiting(session, node) == CALLS - 10

            await eventually(ten_left, what="those who hung up to leave")
            node.process.send_signal(signal.SIGTERM)
            for reader, _ in callers[10:]:
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 429") and b"retry-after: " in head
            for _, writer in (*warm, *callers):
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
        assert after["Threads"] == before["Threads"]
        assert (after["VmRSS"] - before["VmRSS"]) / 1024 <= 40
