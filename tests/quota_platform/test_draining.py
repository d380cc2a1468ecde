"""A web process that shuts down reports that first, serves on, and finishes its calls: no call is lost."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest
import redis

from limiter.core import keys
from tests.environment import VALKEY
from tests.patience import PAUSE_S
from tests.quota_platform.conftest import Upstream
from tests.web_process import Balanced, WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]


def counted() -> dict[str, int]:
    """Acme's counts in the store, by name."""
    with redis.Redis.from_url(VALKEY.url, decode_responses=True) as store:
        (connection,) = store.smembers(keys.connections())
        totals = store.hgetall(keys.totals(int(connection)))
        return {name.partition("|")[2]: int(count) for name, count in totals.items()}


async def status_of(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> int:
    async with session.post(url, data=b"{}", headers=headers) as response:
        await response.read()
        return response.status


async def leave(node: WebProcess, session: aiohttp.ClientSession) -> None:
    """End the process, and see it drain: ``/readyz`` reports that, and calls are served."""
    node.process.send_signal(signal.SIGTERM)
    while await node.ready(session):
        await asyncio.sleep(PAUSE_S)
    async with session.get(f"{node.url}/readyz") as response:
        assert (response.status, (await response.json())["status"]) == (503, "draining")
    async with session.get(f"{node.url}/healthz") as response:
        assert (response.status, response.headers["connection"]) == (200, "close")


async def test_a_node_leaves_under_load_without_losing_a_call(
    tmp_path: Path, upstream: Upstream, headers: dict[str, str]
) -> None:
    settings = {"SANDBOX_HOSTS": f"127.0.0.1:{upstream.port}", "DRAIN_SECONDS": "1.5"}
    leaves, stays = (WebProcess(tmp_path, settings) for _ in range(2))
    async with aiohttp.ClientSession() as session:
        with web_processes(leaves, stays):
            await asyncio.gather(leaves.until_ready(session), stays.until_ready(session))
            load = Balanced([leaves, stays])
            long_call = asyncio.ensure_future(status_of(session, f"{leaves.url}/invoke/slow", headers))
            await upstream.asked.wait()
            async with load.calling(session, "/invoke/lookupOrder", headers=headers):
                await leave(leaves, session)
                await leaves.until_closed()
            assert leaves.process.poll() is None and not long_call.done()
            upstream.let.set()
            assert await long_call == 200
            said = await leaves.ended()
            stays.process.send_signal(signal.SIGINT)
            await stays.ended()
    assert (load.failed, set(load.statuses) <= {200, 429}) == ([], True), (load.statuses, said)
    payload = counted()
    assert (payload["allowed"], payload["answered"]) == (load.statuses[200] + 1, load.statuses[200] + 1)
    assert payload.get("refused", 0) == load.statuses[429]


@pytest.mark.slow
async def test_a_rolling_restart_under_load_loses_no_call(
    tmp_path: Path, upstream: Upstream, headers: dict[str, str]
) -> None:
    settings = {"SANDBOX_HOSTS": f"127.0.0.1:{upstream.port}", "DRAIN_SECONDS": "2"}
    first, second = (WebProcess(tmp_path, settings, workers=2) for _ in range(2))
    async with aiohttp.ClientSession() as session:
        with web_processes(first, second) as running:
            await asyncio.gather(first.until_ready(session), second.until_ready(session))
            load = Balanced(running)
            async with load.calling(session, "/invoke/lookupOrder", headers=headers, callers=16):
                for old in (first, second):
                    new = WebProcess(tmp_path, settings, workers=2)
                    running.append(new)
                    await new.until_ready(session)
                    old.process.send_signal(signal.SIGTERM)
                    await old.ended()
    assert (load.failed, set(load.statuses) <= {200, 429}) == ([], True), load.statuses
