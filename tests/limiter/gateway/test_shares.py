"""The bound of an outage, whatever the number of processes: the shares of a whole deployment make one limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from django.db import connection

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.embedded import Valkey, start_valkey
from tenants.models import Tenant
from tests.patience import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]

SIZES = (2, 3, 8)
LIMIT = 24
"""Divides by every size, so that the shares make one limit exactly."""


@dataclass
class Deployment:
    """Some gateways with a store of their own, and a person who calls each of them."""

    store: Valkey
    session: aiohttp.ClientSession
    urls: list[str] = field(default_factory=list)

    async def admitted(self, *, calls: int) -> int:
        """How many of so many calls to each process pass, all made at once."""
        passed = [self._passes(url) for url in self.urls for _ in range(calls)]
        return sum(await asyncio.gather(*passed))

    async def _passes(self, url: str) -> bool:
        async with self.session.post(f"{url}/check/lookupOrder") as response:
            assert response.status in (200, 429), await response.text()
            return response.status == 200

    async def undegraded(self) -> bool:
        """Whether all of them have noticed that the store is back."""
        for url in self.urls:
            async with self.session.get(f"{url}/readyz") as response:
                if (await response.json())["status"] != "ready":
                    return False
        return True


@pytest.fixture
def hourly(acme: Tenant) -> None:
    policy = QuotaPolicy.objects.create(name="Hourly")
    QuotaLimit.objects.create(policy=policy, name="hour", quota=LIMIT, window_seconds=3600)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[dict[int, Valkey]]:
    """One for each deployment."""
    with contextlib.ExitStack() as stack:
        started = {size: start_valkey(directory=tmp_path / str(size)) for size in SIZES}
        for store in started.values():
            stack.callback(store.kill)
            stack.callback(store.process.send_signal, signal.SIGCONT)
        yield started


@pytest.fixture
async def deployments(
    stores: dict[int, Valkey], hourly: None, acme_key: str, tmp_path: Path
) -> AsyncIterator[dict[int, Deployment]]:
    line = [sys.executable, "-m", "tests.limiter.gateway.crowd", *(f"{n}={each.url}" for n, each in stores.items())]
    data = {**os.environ, "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}"}
    with (tmp_path / "log").open("wb") as log:
        crowd = subprocess.Popen(line, env=data, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    urls = defaultdict(list)
    assert crowd.stdout is not None
    for _ in range(sum(SIZES)):
        size, _, url = (await asyncio.to_thread(crowd.stdout.readline)).decode().strip().partition(" ")
        assert url, (tmp_path / "log").read_text()
        urls[int(size)].append(url)
    async with aiohttp.ClientSession(
        headers={"X-API-Key": acme_key}, connector=aiohttp.TCPConnector(limit=0)
    ) as session:
        yield {size: Deployment(store, session, urls[size]) for size, store in stores.items()}
    crowd.communicate()


async def test_an_outage_lets_at_most_one_more_limit_pass_however_many_processes_there_are(
    deployments: dict[int, Deployment],
) -> None:
    every = deployments.values()
    assert [await each.admitted(calls=LIMIT) for each in every] == [LIMIT] * len(SIZES)
    for each in every:
        each.store.process.send_signal(signal.SIGSTOP)
    frozen = [await each.admitted(calls=LIMIT) for each in every]
    assert frozen == [LIMIT] * len(SIZES)
    for each in every:
        each.store.process.send_signal(signal.SIGCONT)
        await eventually(each.undegraded, what="a deployment to find its store again")
    for each in every:
        each.store.kill()
    stopped = [await each.admitted(calls=LIMIT) for each in every]
    assert stopped == [0] * len(SIZES), "units spent in one outage stay spent in the next"
