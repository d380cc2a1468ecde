"""A refused client that comes back in time passes: its unit was held, on every worker, for clients as they are."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import redis
from uvicorn.config import Config
from uvicorn.server import ServerState

from limiter.core import keys
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform import lean_urls
from quota_platform.sandbox import Running
from quota_platform.server.http1 import Http1
from tenants.models import Action, Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway
from tests.limiter.gateway.herd import stampede
from tests.limiter.gateway.two_workers import TwoWorkers
from tests.web_process import PATIENT, WebProcess, web_processes

pytestmark = pytest.mark.django_db(transaction=True)


def reserving(acme: Tenant, quota: int, *, burst: int = 1, **more: object) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Appointments", reserve_seconds=60, **more)
    QuotaLimit.objects.create(
        policy=policy, name="rate", algorithm="token_bucket", quota=quota, burst=burst, window_seconds=1
    )
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    return policy


def in_a_shared_limit(globex: Tenant) -> None:
    """Of two a second."""
    Action.objects.create(tenant=globex, action_id="lookupOrder")
    policy = QuotaPolicy.objects.create(name="Pool", reserve_seconds=60, adaptive=False)
    QuotaLimit.objects.create(
        policy=policy,
        name="pool",
        algorithm="token_bucket",
        quota=2,
        burst=4,
        window_seconds=1,
        counted_per="connection",
        shared=True,
    )
    Assignment.objects.create(policy=policy, target="default")


@pytest.fixture
def five_a_second(acme: Tenant) -> QuotaPolicy:
    return reserving(acme, 5)


def counted(raw: redis.Redis, acme: Tenant, *counters: str) -> list[int]:
    totals = keys.totals(acme.connection_id)
    return [int(raw.hget(totals, f"acme|{counter}") or 0) for counter in counters]


async def its_time(refused: Answered) -> None:
    """As the refusal names it, exactly."""
    seconds = refused.json["retry_after_ms"] / 1000
    await asyncio.sleep(seconds)


async def flood(gateway: Gateway, key: str, calls: int = 6) -> list[Answered]:
    responses = await asyncio.gather(*[gateway.invoke("lookupOrder", key=key) for _ in range(calls)])
    return sorted((each for each in responses if each.status == 429), key=lambda each: each.json["retry_after_ms"])


@asynccontextmanager
async def served(gateway: Gateway):  # type: ignore[no-untyped-def]
    """The gateway behind our own server, on a socket."""
    config = Config(lean_urls.handler(), proxy_headers=False)
    config.load()
    shared, state = ServerState(), {"runtime": gateway.runtime}
    server = await asyncio.get_running_loop().create_server(lambda: Http1(config, shared, state), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_each_refused_call_gets_a_time_of_its_own_and_passes_then(
    gateway: Gateway, acme: Tenant, acme_key: str, five_a_second: QuotaPolicy, raw: redis.Redis
) -> None:
    refused = await flood(gateway, acme_key)
    assert len({each.json["retry_after_ms"] for each in refused}) == len(refused) == 5
    await its_time(refused[-1])
    again = await asyncio.gather(*[gateway.invoke("lookupOrder", key=acme_key) for _ in refused])
    assert {each.status for each in again} == {200}
    assert counted(raw, acme, "refused", "returned", "kept") == [5, 5, 5]


async def test_another_key_does_not_get_what_is_held(
    gateway: Gateway, acme: Tenant, acme_key: str, acme_other_key: str, raw: redis.Redis
) -> None:
    await asyncio.to_thread(reserving, acme, 2)
    await QuotaLimit.objects.aupdate(counted_per="tenant")
    (refused,) = await flood(gateway, acme_key, 2)
    await its_time(refused)
    assert (await gateway.invoke("lookupOrder", key=acme_other_key)).status == 429
    assert (await gateway.invoke("lookupOrder", key=acme_key)).status == 200


@pytest.fixture
def acme_other_key(acme: Tenant) -> str:
    from tenants.models import ApiKey

    return ApiKey.objects.issue(name="Acme chat", tenant=acme)[1]


async def test_an_appointment_belongs_to_the_idempotency_key_that_asked(
    gateway: Gateway, acme: Tenant, acme_key: str, five_a_second: QuotaPolicy
) -> None:
    await gateway.invoke("lookupOrder", key=acme_key)
    named = {"Idempotency-Key": "once"}
    refused = await gateway.invoke("lookupOrder", key=acme_key, headers=named)
    await its_time(refused)
    assert (await gateway.invoke("lookupOrder", key=acme_key, headers={"Idempotency-Key": "other"})).status == 429
    assert (await gateway.invoke("lookupOrder", key=acme_key, headers=named)).status == 200


async def test_a_call_that_waits_holds_its_unit_and_passes_by_itself(
    gateway: Gateway, acme: Tenant, acme_key: str, raw: redis.Redis
) -> None:
    await asyncio.to_thread(reserving, acme, 5, wait_seconds=30)
    responses = await asyncio.gather(*[gateway.invoke("lookupOrder", key=acme_key) for _ in range(5)])
    assert {each.status for each in responses} == {200}
    assert counted(raw, acme, "allowed", "waited", "refused", "returned") == [5, 4, 0, 0]
    assert all("preference-applied" not in each.headers for each in responses)


async def test_untouched_clients_pass_at_their_first_return(
    gateway: Gateway, acme_key: str, five_a_second: QuotaPolicy
) -> None:
    async with served(gateway) as url:
        herd = await stampede([url], acme_key, clients=8)
    assert (herd.at_first_return, sum(herd.attempts)) == (8, 15)


async def test_a_client_that_comes_back_to_another_worker_finds_its_unit(
    acme: Tenant, acme_key: str, redis_url: str, sandbox: Running, five_a_second: QuotaPolicy
) -> None:
    workers = TwoWorkers(acme_key, redis_url, sandbox)
    async with workers.running():
        responses = [await workers.call(worker=0) for _ in range(3)]
        refused = [each for each in responses if each.status == 429]
        for each in refused:
            await its_time(each)
            assert (await workers.call(worker=1)).status == 200


@pytest.mark.slow
@pytest.mark.paced
@pytest.mark.parametrize("burst", [1, 2])
async def test_a_herd_of_thirty_at_two_a_second(
    acme: Tenant, acme_key: str, sandbox: Running, tmp_path: Path, redis_url: str, burst: int
) -> None:
    await asyncio.to_thread(reserving, acme, 2, burst=burst)
    settings = {
        "REDIS_URL": redis_url,
        "SANDBOX_HOSTS": sandbox.address,
        "MAX_FAILED_KEYS_PER_MINUTE": "1000",
    } | PATIENT
    with web_processes(WebProcess(tmp_path, settings, workers=2)) as (node,):
        async with aiohttp.ClientSession() as session:
            await node.until_ready(session)
        herd = await stampede([node.url], acme_key, clients=30)
    assert herd.at_first_return >= 29
    assert sum(herd.attempts) <= 62
    assert max(herd.waited) <= 1.05 * (30 - burst) / 2 + 1  # each wait in whole seconds


@pytest.mark.slow
@pytest.mark.paced
async def test_the_herds_of_two_tenants_in_a_shared_limit(
    globex: Tenant, acme_key: str, globex_key: str, sandbox: Running, tmp_path: Path, redis_url: str
) -> None:
    await asyncio.to_thread(in_a_shared_limit, globex)
    settings = {
        "REDIS_URL": redis_url,
        "SANDBOX_HOSTS": sandbox.address,
        "MAX_FAILED_KEYS_PER_MINUTE": "1000",
    } | PATIENT
    with web_processes(WebProcess(tmp_path, settings, workers=2)) as (node,):
        async with aiohttp.ClientSession() as session:
            await node.until_ready(session)
        herd = await stampede([node.url], acme_key, globex_key, clients=30)
    assert herd.at_first_return >= 29
    assert sum(herd.attempts) <= 62
    assert max(herd.waited) <= 1.05 * (30 - 4) / 2 + 1  # each wait in whole seconds
