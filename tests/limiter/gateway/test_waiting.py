"""Calls that wait for their turn: in order, with one decision for each unit that comes free, and at no other cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
import redis

from limiter.core import keys
from limiter.core.pausing import pause
from limiter.gateway.runtime import GatewaySettings
from limiter.gateway.waiting import WaitBounds
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.stores.errors import StoreUnavailable
from limiter.stores.pipeline import Reply
from limiter.stores.pool import PoolStatus, StorePool
from limiter.upstream import errors
from tenants.models import Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway
from tests.limiter.gateway.test_hang_up import connected, request
from tests.patience import eventually

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "wait=200"
HOLD = WaitBounds(seconds=250, calls=50, calls_per_key=50)


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    return GatewaySettings(wait_bounds=HOLD)


def limited(acme: Tenant, **limit: object) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Tight")
    QuotaLimit.objects.create(policy=policy, **{"name": "tight", "window_seconds": 1} | limit)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    return policy


@pytest.fixture
def twenty_a_second(acme: Tenant) -> QuotaPolicy:
    return limited(acme, algorithm="token_bucket", quota=20, burst=1)


@pytest.fixture
def one_a_minute(acme: Tenant) -> QuotaPolicy:
    return limited(acme, quota=1, window_seconds=60)


@pytest.fixture
def one_at_once(acme: Tenant) -> QuotaPolicy:
    return limited(acme, algorithm="concurrency", quota=1, window_seconds=None)


async def call(gateway: Gateway, key: str, *, prefer: str = LONG, **more: str) -> Answered:
    return await gateway.invoke("lookupOrder", key=key, headers={"Prefer": prefer, **more})


def calling(gateway: Gateway, key: str, **more: str) -> asyncio.Task[Answered]:
    return asyncio.create_task(call(gateway, key, **more))


async def held_upstream(gateway: Gateway, key: str) -> tuple[asyncio.Task[Answered], asyncio.Event]:
    """A call that the upstream holds, until the event is set."""
    held = gateway.upstream.held = asyncio.Event()
    running = calling(gateway, key)
    await eventually(lambda: asyncio.sleep(0, gateway.upstream.calls), what="the first call")
    return running, held


async def until_waiting(gateway: Gateway, calls: int) -> None:
    async def look() -> bool:
        return gateway.runtime.gateway.waiting.calls == calls

    await eventually(look, what=f"{calls} calls to wait")


async def queued(gateway: Gateway, key: str, names: Sequence[str]) -> list[asyncio.Task[Answered]]:
    """Calls that wait, one after the other."""
    tasks: list[asyncio.Task[Answered]] = []
    for name in names:
        tasks.append(calling(gateway, key, **{"X-Request-Id": name}))
        await until_waiting(gateway, len(tasks))
    return tasks


def counted(raw: redis.Redis, acme: Tenant, counter: str) -> int:
    return int(raw.hget(keys.totals(acme.connection_id), f"acme|{counter}") or 0)


def decisions(gateway: Gateway) -> int:
    return sum(gateway.runtime.store.round_trips.counts)


async def test_calls_wait_in_order_and_each_freed_unit_costs_one_decision(
    gateway: Gateway, acme: Tenant, acme_key: str, one_at_once: QuotaPolicy, raw: redis.Redis
) -> None:
    gateway.upstream.held = asyncio.Event()
    first = calling(gateway, acme_key, prefer="wait=0")
    slots = f"{keys.tag(acme.connection_id)}:w:tight:c:a:acme:lookupOrder"
    await eventually(lambda: gateway.runtime.store.command("ZCARD", slots, key=slots), what="the slot to be taken")
    waiting = await queued(gateway, acme_key, ["one", "two", "three", "four"])
    before = decisions(gateway)
    gateway.upstream.held.set()
    responses = await asyncio.gather(first, *waiting)
    assert [each.status for each in responses] == [200] * 5
    assert [each.request_id for each in gateway.upstream.calls[1:]] == ["one", "two", "three", "four"]
    assert decisions(gateway) - before == 4
    assert (counted(raw, acme, "allowed"), counted(raw, acme, "waited")) == (5, 4)
    assert counted(raw, acme, "refused") == raw.xlen(keys.events(acme.connection_id)) == 0


async def test_a_rate_serves_waiting_calls_when_their_units_come_free(
    gateway: Gateway, acme: Tenant, acme_key: str, twenty_a_second: QuotaPolicy, raw: redis.Redis
) -> None:
    responses = await asyncio.gather(*[call(gateway, acme_key) for _ in range(8)])
    assert {each.status for each in responses} == {200}
    waited = [each for each in responses if "server-timing" in each.headers]
    assert 0 < len(waited) == counted(raw, acme, "waited") < 8
    assert all(float(each.headers["server-timing"].removeprefix("wait;dur=")) > 0 for each in waited)
    assert {each.headers["preference-applied"] for each in responses} == {LONG}
    assert decisions(gateway) < 8 + 8 + 8  # each at first, each at its turn, and some that came a moment too early


async def test_a_wait_that_is_too_long_is_a_refusal_in_one_round_trip(
    gateway: Gateway, acme: Tenant, acme_key: str, one_a_minute: QuotaPolicy, raw: redis.Redis
) -> None:
    await call(gateway, acme_key)
    before = decisions(gateway)
    refused = await call(gateway, acme_key, prefer="wait=5")
    assert (refused.status, decisions(gateway) - before) == (429, 1)
    assert refused.headers["preference-applied"] == "wait=5"
    assert "server-timing" not in refused.headers
    assert (counted(raw, acme, "refused"), raw.xlen(keys.events(acme.connection_id))) == (1, 1)


async def test_a_call_that_waits_in_vain_is_refused_once_with_its_wait(
    gateway: Gateway, acme: Tenant, acme_key: str, one_at_once: QuotaPolicy, raw: redis.Redis
) -> None:
    running, held = await held_upstream(gateway, acme_key)
    refused = await call(gateway, acme_key, prefer="wait=1")
    assert refused.status == 429 and int(refused.headers["retry-after"]) == 1
    assert float(refused.headers["server-timing"].removeprefix("wait;dur=")) >= 999
    assert (counted(raw, acme, "refused"), counted(raw, acme, "waited")) == (1, 0)
    held.set()
    assert (await running).status == 200


async def test_no_call_waits_longer_than_the_deployment_grants(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    applied = (await call(gateway, acme_key, prefer="wait=100000")).headers["preference-applied"]
    assert applied == f"wait={HOLD.seconds}"


@pytest.mark.parametrize("preference", ["wait=0", "respond-async", "wait=never"])
async def test_a_call_that_would_not_wait_is_refused_at_once(
    gateway: Gateway, acme_key: str, one_a_minute: QuotaPolicy, preference: str
) -> None:
    await call(gateway, acme_key)
    refused = await call(gateway, acme_key, prefer=preference)
    assert refused.status == 429 and "preference-applied" not in refused.headers


@pytest.mark.parametrize(
    "gateway_settings",
    [GatewaySettings(wait_bounds=WaitBounds(250, 1, 50)), GatewaySettings(wait_bounds=WaitBounds(250, 50, 1))],
    ids=["of the worker", "of the key"],
)
async def test_more_calls_than_may_wait_are_refused(gateway: Gateway, acme_key: str, one_a_minute: QuotaPolicy) -> None:
    await call(gateway, acme_key)
    (waiting,) = await queued(gateway, acme_key, ["one"])
    assert (await call(gateway, acme_key)).status == 429
    gateway.runtime.gateway.waiting.stop()
    assert (await waiting).status == 429


async def test_a_worker_that_stops_refuses_each_waiting_call_with_its_wait(
    gateway: Gateway, acme: Tenant, acme_key: str, one_a_minute: QuotaPolicy, raw: redis.Redis
) -> None:
    await call(gateway, acme_key)
    waiting = await queued(gateway, acme_key, ["one", "two", "three"])
    assert gateway.runtime.heartbeat.state()["waiting"] == {"calls": 3, "tenants": {"acme": 3}}
    gateway.runtime.gateway.waiting.stop()
    responses = await asyncio.gather(*waiting)
    assert gateway.runtime.heartbeat.state()["waiting"] == {"calls": 0, "tenants": {}}
    assert [each.status for each in responses] == [429] * 3
    assert all(0 < int(each.headers["retry-after"]) <= 60 for each in responses)
    assert counted(raw, acme, "refused") == 3
    assert (await call(gateway, acme_key)).status == 429  # and nobody waits any more


def gone(gateway: Gateway) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return not gateway.runtime.gateway.waiting.calls

    return look


def preferring(key: str) -> bytes:
    return request(key, length=2).replace(b"Host: x", b"Host: x\r\nPrefer: " + LONG.encode()) + b"{}"


async def test_a_caller_that_hangs_up_leaves_and_is_charged_nothing(
    gateway: Gateway, acme: Tenant, acme_key: str, one_a_minute: QuotaPolicy, raw: redis.Redis
) -> None:
    await call(gateway, acme_key)
    async with connected(gateway) as (_, writer):
        writer.write(preferring(acme_key))
        await until_waiting(gateway, 1)
        writer.close()
        await eventually(gone(gateway), what="the waiting call to leave")
    assert (counted(raw, acme, "allowed"), counted(raw, acme, "refused")) == (1, 0)


async def test_no_decision_is_spent_on_a_caller_that_has_hung_up(
    gateway: Gateway, acme_key: str, one_at_once: QuotaPolicy
) -> None:
    running, held = await held_upstream(gateway, acme_key)
    async with connected(gateway) as (_, writer):
        writer.write(preferring(acme_key))
        await until_waiting(gateway, 1)
        behind = calling(gateway, acme_key)
        await until_waiting(gateway, 2)
        writer.close()
        await until_waiting(gateway, 1)
        before = decisions(gateway)
        held.set()
        assert {(await each).status for each in (running, behind)} == {200}
    assert decisions(gateway) == before + 1


async def test_a_caller_that_only_stops_sending_is_answered_at_once(
    gateway: Gateway, acme_key: str, one_a_minute: QuotaPolicy
) -> None:
    await call(gateway, acme_key)
    async with connected(gateway) as (reader, writer):
        writer.write(preferring(acme_key))
        await until_waiting(gateway, 1)
        writer.write_eof()
        assert b"wait-given-up" in await reader.read()


async def test_a_caller_gone_while_its_call_is_admitted_gets_its_unit_back(
    gateway: Gateway, acme: Tenant, acme_key: str, one_at_once: QuotaPolicy, raw: redis.Redis
) -> None:
    running, held = await held_upstream(gateway, acme_key)
    async with connected(gateway) as (_, writer):
        writer.write(preferring(acme_key))
        await until_waiting(gateway, 1)
        (line,) = gateway.runtime.gateway.waiting._lines.values()
        held.set()
        await running
        line.freed()  # its decision is on its way …
        writer.close()  # … when it hangs up
        await eventually(gone(gateway), what="the waiting call to leave")
    await gateway.recorded()
    assert len(gateway.upstream.calls) - counted(raw, acme, "allowed") + counted(raw, acme, "given_back") == 0
    slots = f"{keys.tag(acme.connection_id)}:w:tight:c:a:acme:lookupOrder"
    assert raw.zcard(slots) == 0


async def test_units_that_are_given_back_wake_the_call_that_waits_for_them(
    gateway: Gateway, acme_key: str, one_a_minute: QuotaPolicy
) -> None:
    gateway.upstream.held = asyncio.Event()
    gateway.upstream.error = errors.Unreachable("No connection.")
    running = calling(gateway, acme_key)
    await eventually(lambda: asyncio.sleep(0, gateway.upstream.calls), what="the first call")
    (waiting,) = await queued(gateway, acme_key, ["one"])
    gateway.upstream.held.set()
    assert (await running).status == 502
    gateway.upstream.error = None
    made = await waiting
    assert made.status in (200, 502)
    assert float(made.headers["server-timing"].removeprefix("wait;dur=")) < 60_000  # the window was not over


async def test_a_call_waits_for_the_end_of_a_pause_of_the_upstream(
    gateway: Gateway, acme: Tenant, acme_key: str, base_policy: QuotaPolicy, raw: redis.Redis
) -> None:
    async def waited() -> bool:
        await pause(gateway.runtime.store, acme.connection_id, status=429, said_us=200_000, max_us=1_000_000)
        served = await call(gateway, acme_key)
        assert served.status == 200
        return "server-timing" in served.headers  # unless the pause was over when the call came

    await eventually(waited, what="a call to come in time")
    assert (counted(raw, acme, "held_back"), counted(raw, acme, "waited")) == (0, 1)


async def test_shadow_limits_let_no_call_wait(gateway: Gateway, acme_key: str, one_a_minute: QuotaPolicy) -> None:
    await QuotaPolicy.objects.filter(pk=one_a_minute.pk).aupdate(mode="shadow")
    responses = [await call(gateway, acme_key) for _ in range(3)]
    assert {each.status for each in responses} == {200}
    assert not any("server-timing" in each.headers for each in responses)


@pytest.mark.parametrize("query", ["", "peek=1"])
async def test_a_check_does_not_wait(gateway: Gateway, acme_key: str, one_a_minute: QuotaPolicy, query: str) -> None:
    await call(gateway, acme_key)
    headers = [("X-API-Key", acme_key), ("Prefer", LONG)]
    checked = await gateway.caller.call("POST", "/check/lookupOrder", headers=headers, query=query)
    assert checked.status == 429 and "preference-applied" not in checked.headers


async def test_a_tenant_that_is_suspended_while_its_call_waits_is_refused(
    gateway: Gateway, acme: Tenant, acme_key: str, one_a_minute: QuotaPolicy
) -> None:
    await call(gateway, acme_key)
    (waiting,) = await queued(gateway, acme_key, ["one"])
    acme.status = Tenant.Status.SUSPENDED
    await acme.asave()

    async def suspended() -> bool:
        held = gateway.runtime.snapshot.held_tenant("acme")
        return held is not None and not held.tenant.active

    await eventually(suspended, what="the edit to reach the worker")
    gateway.runtime.gateway.waiting.stop()
    assert (await waiting).json["type"] == "urn:quota-platform:problem:tenant-suspended"


class Lost:
    """A link to a store that is unavailable from now on."""

    async def send(self, packed: bytes, *, key: bytes) -> Reply:
        raise StoreUnavailable("it is down")

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def status(self) -> PoolStatus:
        return PoolStatus(0, 0, 0, 1, available=False)

    async def primaries(self) -> dict[str, StorePool]:
        return {}


async def test_a_store_that_is_lost_lets_the_failure_mode_decide_calls_that_wait(
    gateway: Gateway, acme_key: str, one_a_minute: QuotaPolicy
) -> None:
    await call(gateway, acme_key)
    waiting = await queued(gateway, acme_key, ["one", "two"])
    link, gateway.runtime.store.link = gateway.runtime.store.link, Lost()
    (line,) = gateway.runtime.gateway.waiting._lines.values()
    line.freed()  # the first one's turn has come
    responses = await asyncio.gather(*waiting)
    gateway.runtime.store.link = link
    assert [each.status for each in responses] == [200, 429]  # this worker's share
    assert all("ratelimit" not in each.headers for each in responses)


async def test_a_repeat_waits_with_the_call_that_it_repeats(
    gateway: Gateway, acme_key: str, twenty_a_second: QuotaPolicy
) -> None:
    named = {"Idempotency-Key": "once"}
    await call(gateway, acme_key)
    responses = await asyncio.gather(*[call(gateway, acme_key, **named) for _ in range(3)])
    assert {each.status for each in responses} == {200}
    assert len(gateway.upstream.calls) == 2
