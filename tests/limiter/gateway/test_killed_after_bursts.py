"""A worker is killed as bursts of slow calls end: the multiplier of each burst is the rule's over all that was kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
import redis

from limiter.core import adaptive, keys
from limiter.core.adaptive import AdaptiveSettings
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.sandbox import Running
from tenants.models import Action, ApiKey, Connection, Tenant
from tests.patience import HANG_S, eventually
from tests.web_process import WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
TENANTS, CALLS, THRESHOLD_MS, SLOW_MS = 10, 12, 200, 300


def tenant_with_key(connection: Connection, number: int) -> tuple[str, str]:
    tenant = Tenant.objects.create(tenant_id=f"burst{number}", name=f"Burst {number}", connection=connection)
    Action.objects.create(tenant=tenant, action_id="lookupOrder")
    return tenant.tenant_id, ApiKey.objects.issue(name="burst", tenant=tenant)[1]


async def slow_policy() -> None:
    policy = await QuotaPolicy.objects.acreate(name="Slow", latency_threshold_ms=THRESHOLD_MS)
    await QuotaLimit.objects.acreate(policy=policy, name="minute", quota=1_000_000, window_seconds=60)
    await Assignment.objects.acreate(policy=policy, target="default")


async def test_the_multiplier_of_each_burst_is_the_rule_s_over_all_samples_whichever_worker_dies(
    connection: Connection, sandbox: Running, tmp_path: Path, redis_url: str, raw: redis.Redis
) -> None:
    """Samples that the killed worker had not sent yet are gone with it; nobody knows of them."""
    await slow_policy()
    tenants = [await asyncio.to_thread(tenant_with_key, connection, number) for number in range(TENANTS)]
    sandbox.state.put_latency({"ms": SLOW_MS})
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address}
    responses = 0
    with web_processes(*(WebProcess(tmp_path, settings) for _ in range(2))) as nodes:
        timeout, connector = aiohttp.ClientTimeout(HANG_S), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            for node in nodes:
                await node.until_ready(session)

            async def call(key: str, number: int) -> None:
                nonlocal responses
                headers = {"X-API-Key": key, "Content-Type": "application/json"}
                url = f"{nodes[number % 2].url}/invoke/lookupOrder"
                try:
                    async with session.post(url, data=b"{}", headers=headers) as response:
                        await response.read()
                except (aiohttp.ClientError, OSError):
                    assert number % 2 == 0
                    return
                assert response.status == 200
                responses += 1
                if responses == TENANTS * CALLS // 2:
                    nodes[0].kill()

            async with asyncio.TaskGroup() as calls:
                for _, key in tenants:
                    for number in range(CALLS):
                        calls.create_task(call(key, number))

            async def all_assessed() -> bool:
                return all(by_the_rule(raw, connection.pk, tenant) for tenant, _ in tenants)

            await eventually(all_assessed, what="the multipliers of all bursts")
    assert responses >= TENANTS * CALLS // 2
    kept = [raw.llen(keys.samples(connection.pk, tenant, None)) for tenant, _ in tenants]
    assert all(CALLS // 2 <= number <= CALLS for number in kept), kept


def by_the_rule(raw: redis.Redis, connection: int, tenant: str) -> bool:
    """Whether the multiplier in force is the one of all samples that were kept."""
    found = raw.lrange(keys.samples(connection, tenant, None), 0, -1)
    samples = adaptive.parse([each for each in found if isinstance(each, bytes)])
    if not samples:
        return False
    rule = AdaptiveSettings(latency_threshold_ms=THRESHOLD_MS)
    multiplier = adaptive.assess(samples, rule, now_us=samples[-1].at_us).multiplier_ppm
    assert multiplier < rule.default_ppm
    return int(raw.get(keys.multiplier(connection, tenant, None)) or rule.default_ppm) == multiplier
