"""A worker is killed while it gives back calls that did not run: each comes back once, in all limits and in usage."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import redis

from limiter.core import keys
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.embedded import free_port
from tenants.models import Connection, Tenant
from tests.patience import HANG_S, eventually
from tests.web_process import WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
CALLERS, BEFORE, IN_ALL = 8, 300, 900
NOT_SENT = {"upstream-unreachable", "upstream-breaker-open"}
DAY_S, MANY = 86_400, 50_000


@dataclass
class Counted:
    """Of a tenant, since the store was empty, and how many charges the store has seen come back."""

    allowed: int
    given_back: int
    decisions: int

    @classmethod
    def now(cls, raw: redis.Redis, connection: int) -> Counted:
        with raw.pipeline(transaction=True) as reading:
            reading.hmget(keys.totals(connection), ["acme|allowed", "acme|given_back"])
            reading.zcard(keys.given_back(connection))
            (allowed, given_back), decisions = reading.execute()
        return cls(int(allowed or 0), int(given_back or 0), decisions)


async def in_use(session: aiohttp.ClientSession, node: WebProcess, key: str) -> dict[str, int]:
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    async with session.post(f"{node.url}/check/lookupOrder?peek=1", data=b"{}", headers=headers) as response:
        assert response.status == 200, await response.text()
        return {limit["name"]: limit["used"] for limit in (await response.json())["limits"]}


async def limits_that_forget_nothing(acme: Tenant) -> None:
    """Of each kind of window; the bucket has refilled by one unit when the day is over."""
    policy = await QuotaPolicy.objects.acreate(name="Kinds", adaptive=False)
    kinds = {"sliding_log": MANY, "sliding_counter": MANY, "token_bucket": 1}
    for kind, quota in kinds.items():
        burst = {"burst": MANY} if kind == "token_bucket" else {}
        await QuotaLimit.objects.acreate(
            policy=policy, name=kind, algorithm=kind, quota=quota, window_seconds=DAY_S, **burst
        )
    await Assignment.objects.acreate(policy=policy, target="tenant", tenant=acme)


async def test_a_killed_worker_gives_nothing_back_twice_and_takes_only_the_calls_in_it_along(
    acme: Tenant, acme_key: str, connection: Connection, tmp_path: Path, redis_url: str, raw: redis.Redis
) -> None:
    """No upstream is there, so no call runs. Nobody knows that of those that the killed worker had charged and held.

    docs/reliability.md (What a killed worker takes along) has the reasons.
    """
    await limits_that_forget_nothing(acme)
    nowhere = f"127.0.0.1:{free_port()}"
    connection.base_url, connection.max_retries = f"http://{nowhere}", 0
    await asyncio.to_thread(connection.save)
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": nowhere}
    responses, lost = 0, 0
    with web_processes(*(WebProcess(tmp_path, settings) for _ in range(2))) as nodes:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HANG_S)) as session:
            for node in nodes:
                await node.until_ready(session)

            async def call(number: int) -> None:
                nonlocal responses, lost
                while responses < IN_ALL:
                    url = f"{nodes[number % 2].url}/invoke/lookupOrder"
                    headers = {"X-API-Key": acme_key, "Content-Type": "application/json"}
                    try:
                        async with session.post(url, data=b"{}", headers=headers) as response:
                            problem = await response.json()
                        assert problem["type"].rpartition(":")[2] in NOT_SENT, problem
                    except (aiohttp.ClientError, OSError):
                        lost, number = lost + 1, number + 1
                        continue
                    responses += 1
                    if responses == BEFORE:
                        nodes[0].kill()

            async with asyncio.TaskGroup() as calls:
                for number in range(CALLERS):
                    calls.create_task(call(number))
            # A caller of the killed worker had one call in it, and the charge of its last one may not be sent yet.
            taken_along = 2 * CALLERS // 2

            async def settled() -> tuple[Counted, dict[str, int]] | None:
                found = Counted.now(raw, connection.pk)
                used = await in_use(session, nodes[1], acme_key)
                over = found.allowed - found.given_back <= taken_along and Counted.now(raw, connection.pk) == found
                return (found, used) if over else None

            settling = await eventually(settled, what="what the living worker gives back")
    assert settling is not None
    found, used = settling
    assert responses >= IN_ALL and lost >= 1
    assert found.given_back == found.decisions >= responses - taken_along
    assert found.allowed >= responses
    usage = Counter[str]()
    for field, count in raw.hgetall(keys.usage(connection.pk)).items():
        assert isinstance(field, bytes)
        usage[field.decode().rpartition("|")[2]] += int(count)
    assert (usage["allowed"], usage["given_back"]) == (found.allowed, found.given_back)
    stay = found.allowed - found.given_back
    assert (used["sliding_log"], used["sliding_counter"]) == (stay, stay)
    # What a bucket has refilled since a charge it does not give back: parts of a unit, which count as one.
    assert used["token_bucket"] - stay in (0, 1)
