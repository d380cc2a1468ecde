"""A worker is killed as bursts of slow calls end: soon after, each multiplier is the rule's over all that was kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import redis

from limiter.core import adaptive, keys
from limiter.core.adaptive import AdaptiveSettings, Sample
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.sandbox import Running
from tenants.models import Action, ApiKey, Connection, Tenant
from tests.limiter.gateway.assessments import Assessments
from tests.patience import HANG_S, eventually
from tests.web_process import PATIENT, WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
TENANTS, CALLS, THRESHOLD_MS, SLOW_MS = 10, 12, 200, 300
SOON_US = 600_000
"""After the last end, as docs/adaptive.md promises. A busy machine has as much longer as its workers looked late."""


def tenant_with_key(connection: Connection, number: int) -> tuple[str, str]:
    tenant = Tenant.objects.create(tenant_id=f"burst{number}", name=f"Burst {number}", connection=connection)
    Action.objects.create(tenant=tenant, action_id="lookupOrder")
    return tenant.tenant_id, ApiKey.objects.issue(name="burst", tenant=tenant)[1]


async def slow_policy() -> None:
    policy = await QuotaPolicy.objects.acreate(name="Slow", latency_threshold_ms=THRESHOLD_MS)
    await QuotaLimit.objects.acreate(policy=policy, name="minute", quota=1_000_000, window_seconds=60)
    await Assignment.objects.acreate(policy=policy, target="default")


@dataclass
class Bursts:
    """Calls of all tenants at once; the first worker is killed when half of them have their response."""

    session: aiohttp.ClientSession
    nodes: list[WebProcess]
    raw: redis.Redis
    responses: int = 0
    killed_us: int = 0

    async def call(self, key: str, number: int) -> None:
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        url = f"{self.nodes[number % 2].url}/invoke/lookupOrder"
        try:
            async with self.session.post(url, data=b"{}", headers=headers) as response:
                await response.read()
        except (aiohttp.ClientError, OSError):
            assert number % 2 == 0
            return
        assert response.status == 200
        self.responses += 1
        if self.responses == TENANTS * CALLS // 2:
            self.nodes[0].kill()
            self.killed_us = now_us(self.raw)


async def test_soon_after_each_burst_its_multiplier_is_the_rule_s_over_all_samples_whichever_worker_dies(
    connection: Connection, sandbox: Running, tmp_path: Path, redis_url: str, raw: redis.Redis
) -> None:
    """Samples that the killed worker had not sent yet are gone with it; nobody knows of them."""
    assessments = Assessments(connection.pk)
    await slow_policy()
    tenants = dict([await asyncio.to_thread(tenant_with_key, connection, number) for number in range(TENANTS)])
    sandbox.state.put_latency({"ms": SLOW_MS})
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address} | PATIENT

    async def all_assessed() -> bool:
        return all(by_the_rule(raw, connection.pk, tenant) for tenant in tenants)

    async def another_look() -> bool:
        return assessments.looked_after(assessed_us)

    with web_processes(*(WebProcess(tmp_path, settings) for _ in range(2))) as nodes:
        timeout, connector = aiohttp.ClientTimeout(HANG_S), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            for node in nodes:
                await node.until_ready(session)
            bursts = Bursts(session, nodes, raw)
            async with assessments.watched(redis_url):
                await asyncio.gather(*(bursts.call(key, each) for key in tenants.values() for each in range(CALLS)))
                await eventually(all_assessed, what="the multipliers of all bursts")
                assessed_us = now_us(raw)
                await eventually(another_look, what="the end of the look before")
    assert bursts.responses >= TENANTS * CALLS // 2
    for tenant in tenants:
        samples = kept(raw, connection.pk, tenant)
        assert CALLS // 2 <= len(samples) <= CALLS
        soon_assessed(assessments, tenant, samples, killed_us=bursts.killed_us)


def soon_assessed(assessments: Assessments, tenant: str, samples: list[Sample], *, killed_us: int) -> None:
    """A worker that dies while it computes holds the others back until its claim ends."""
    last_us = samples[-1].at_us
    of_all = [each for each in assessments.computed[tenant] if each.samples >= len(samples)]
    assessed_us = min(each.at_us for each in of_all if each.at_us >= last_us)
    since_us = max(killed_us, last_us)
    assert assessed_us - since_us <= SOON_US + assessments.late_us(since_us, assessed_us)


def now_us(raw: redis.Redis) -> int:
    seconds, micros = raw.time()
    return int(seconds) * 1_000_000 + int(micros)


def kept(raw: redis.Redis, connection: int, tenant: str) -> list[Sample]:
    found = raw.lrange(keys.samples(connection, tenant, None), 0, -1)
    return adaptive.parse([each for each in found if isinstance(each, bytes)])


def by_the_rule(raw: redis.Redis, connection: int, tenant: str) -> bool:
    """Whether the multiplier in force is the one of all samples that were kept."""
    samples = kept(raw, connection, tenant)
    if not samples:
        return False
    rule = AdaptiveSettings(latency_threshold_ms=THRESHOLD_MS)
    multiplier = adaptive.assess(samples, rule, now_us=samples[-1].at_us).multiplier_ppm
    assert multiplier < rule.default_ppm
    return int(raw.get(keys.multiplier(connection, tenant, None)) or rule.default_ppm) == multiplier
