"""A connection that learns its calls in flight: one limit for all workers, and a refusal that explains itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from limiter.core import in_flight, keys
from limiter.core.ends import LearningSettings
from limiter.core.learned import Mode, State
from limiter.core.types import MICROS, Subject
from limiter.models import QuotaPolicy
from limiter.record import events
from limiter.record.explain import explain
from quota_platform.sandbox import Running
from tenants.models import Connection
from tests.asgi import Answered
from tests.environment import VALKEY
from tests.limiter.gateway.arrivals import arrivals
from tests.limiter.gateway.two_workers import TwoWorkers, sandbox_behind
from tests.patience import HANG_S, eventually
from tests.web_process import Balanced, WebProcess, web_processes

pytestmark = pytest.mark.django_db(transaction=True)
UNLIMITED = (Mode.WHOLE, Mode.NOT_OURS)


@pytest.fixture
def sandbox(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    connection.learns_in_flight = True
    with sandbox_behind(connection, monkeypatch) as started:
        yield started


class Workers(TwoWorkers):
    def __init__(self, key: str, redis_url: str, sandbox: Running, connection: int) -> None:
        super().__init__(key, redis_url, sandbox)
        self.connection, self.store = connection, self.runtimes[0].store

    async def learned(self, allowed: int) -> None:
        """What a step has found."""
        state = State(steps=7, mode=Mode.FOLLOWING, limit=float(allowed))
        name = keys.in_flight(self.connection)
        await self.store.command("SET", name, in_flight.write(state, LearningSettings()), key=name)

    async def in_flight(self) -> bool:
        name = keys.window(in_flight.learned(LearningSettings()).limit, Subject(self.connection, "", "", ""))
        return bool(await self.store.command("ZCARD", name, key=name))

    async def state(self) -> State | None:
        return await in_flight.read(self.store, self.connection)


@pytest_asyncio.fixture
async def workers(
    acme_key: str, redis_url: str, sandbox: Running, base_policy: QuotaPolicy, connection: Connection
) -> AsyncIterator[Workers]:
    made = Workers(acme_key, redis_url, sandbox, connection.pk)
    async with made.running():
        yield made


async def gone(call: asyncio.Task[Answered]) -> None:
    """Its caller hangs up."""
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call


async def test_a_refusal_by_the_learned_limit_explains_itself_everywhere(workers: Workers) -> None:
    workers.sandbox.state.faults.add({"fault": "slow", "ms": 60_000, "count": 1})
    first = asyncio.create_task(workers.call(worker=0))
    await eventually(workers.in_flight, what="the first call in flight")
    await workers.learned(1)

    refused = await workers.call(worker=1)

    assert refused.status == 429
    assert refused.headers["ratelimit"].startswith('"(in flight)";r=0')
    assert '"(in flight)";q=' in refused.headers["ratelimit-policy"]
    assert refused.headers["retry-after"] == "1"
    assert refused.json["violated-policies"] == ["(in flight)"]
    stream = keys.events(workers.connection)
    ((entry, fields),) = await workers.store.command("XRANGE", stream, "-", "+", key=stream)
    data = await asyncio.to_thread(explain, events.event(entry.decode(), fields[1].decode()))
    assert data.event.limit_name == "(in flight)"
    assert data.sentence.startswith(
        "This call was refused: 1 of 1 allowed calls of all tenants were in flight to the upstream."
    )
    totals = keys.totals(workers.connection)
    assert await workers.store.command("HGET", totals, "acme|refused", key=totals) == b"1"
    await gone(first)


async def test_steps_are_taken_while_calls_are_in_flight_even_if_none_ends(workers: Workers) -> None:
    workers.sandbox.state.faults.add({"fault": "slow", "ms": 60_000, "count": 1})
    first = asyncio.create_task(workers.call(worker=0))

    async def second_step() -> bool:
        state = await workers.state()
        return state is not None and state.in_flight == 1 and state.steps >= 2

    await eventually(second_step, what="a second step")
    await gone(first)


async def test_a_trial_of_workers_that_were_killed_ends_with_the_next_call_even_if_that_is_refused(
    workers: Workers,
) -> None:
    """Their calls hold slots until their leases end, so nothing is let in flight that could end and be heard."""
    settings, name = LearningSettings(), keys.in_flight(workers.connection)
    slots = keys.window(in_flight.learned(settings).limit, Subject(workers.connection, "", "", ""))
    now_us = time.time_ns() // 1000
    left = State(steps=7, at_us=now_us - 20 * MICROS, mode=Mode.TRIAL, limit=1.0, set_us=now_us - 21 * MICROS)
    await workers.store.command("SET", name, in_flight.write(left, settings), key=name)
    await workers.store.command("ZADD", slots, now_us + 60 * MICROS, "of a dead worker", key=slots)

    assert (await workers.call()).status == 429

    async def whole() -> bool:
        state = await workers.state()
        return state is not None and state.mode is Mode.WHOLE

    await eventually(whole, what="the end of the trial")
    assert (await workers.call()).status == 200


async def test_the_end_of_a_call_is_a_sample_of_the_connection_s(workers: Workers) -> None:
    for worker in (0, 1):
        assert (await workers.call(worker=worker)).status == 200
    ends = keys.in_flight_ends(workers.connection)
    kept = await workers.store.command("LRANGE", ends, 0, -1, key=ends)
    assert [end.split(b":")[2:] for end in kept] == [[b"0", b"1"]] * 2


async def test_a_connection_that_does_not_learn_has_no_such_limit(workers: Workers, connection: Connection) -> None:
    connection.learns_in_flight = False
    await asyncio.to_thread(connection.save)
    await workers.learned(1)
    answered = await workers.call(worker=0)
    assert answered.status == 200
    assert "(in flight)" not in answered.headers["ratelimit-policy"]


@pytest.mark.slow
@pytest.mark.paced
async def test_a_slow_hour_differs_from_slowness_that_is_not_ours(workers: Workers, base_policy: QuotaPolicy) -> None:
    """One call at a time of 300 ms, for twice as many; then 1.5 s for each, whatever the load."""
    base_policy.adaptive = False  # a window that is cut would let nothing through
    await asyncio.to_thread(base_policy.save)
    await asyncio.to_thread(base_policy.limits.update, quota=100_000)

    def reaches(*modes: Mode) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            state = await workers.state()
            return state is not None and state.mode in modes

        return look

    async with arrivals(lambda number: workers.call(worker=number % 2), per_s=7):
        order(workers, "latency", {"ms": 300})
        order(workers, "limiter", {"concurrency": 1, "queue": True})
        await eventually(reaches(Mode.FOLLOWING), what="a trial that helped")
        state = await workers.state()
        assert state is not None and state.limit <= 4
        assert state.after_us < state.before_us
    order(workers, "limiter", {"off": True})
    await workers.store.command("FLUSHALL", key="any")
    async with arrivals(lambda number: workers.call(worker=number % 2), per_s=7):
        order(workers, "latency", {"ms": 1500})
        await eventually(reaches(Mode.NOT_OURS), what="a trial that did not help")


@pytest.mark.slow
@pytest.mark.paced
async def test_a_trial_under_which_every_worker_is_killed_leaves_no_limit_behind(
    workers: Workers, connection: Connection, base_policy: QuotaPolicy, tmp_path: Path
) -> None:
    """The unit is well when they are back, while the calls of the dead hold their slots for a minute and more."""
    base_policy.adaptive = False
    await asyncio.to_thread(base_policy.save)
    await asyncio.to_thread(base_policy.limits.update, quota=100_000)
    environment = {"SANDBOX_HOSTS": workers.sandbox.address, "REDIS_URL": VALKEY.url}
    headers = {"X-API-Key": workers.key}

    async def in_trial() -> bool:
        state = await workers.state()
        return state is not None and state.mode is Mode.TRIAL

    async def whole() -> bool:
        async with session.post(f"{back.url}/invoke/lookupOrder", data=b"{}", headers=headers) as response:
            await response.read()
        state = await workers.state()
        assert state is not None and state.mode in (Mode.TRIAL, *UNLIMITED), "no limit was set because of the dead"
        return state.mode in UNLIMITED and response.status == 200

    async with aiohttp.ClientSession() as session:
        with web_processes(WebProcess(tmp_path, environment, workers=2)) as running:
            await running[0].until_ready(session)
            order(workers, "latency", {"ms": 100})
            load = Balanced(running)
            async with load.calling(session, "/invoke/lookupOrder", headers=headers, callers=8):
                await until_well(workers)
                order(workers, "latency", {"ms": 2000})
                await eventually(in_trial, what="a trial")
                running[0].kill()
            assert load.statuses[200] and load.failed
            assert await workers.in_flight(), "calls of the dead"
            order(workers, "latency", {"ms": 100})
            running.append(back := WebProcess(tmp_path, environment))
            await back.until_ready(session)
            await eventually(whole, what="the limit to be whole, and a call to pass")


async def until_well(workers: Workers) -> None:
    """Its usual latency is known."""

    async def known() -> bool:
        state = await workers.state()
        return state is not None and state.normal_us > 0

    await eventually(known, what="the usual latency")


def order(workers: Workers, what: str, fields: dict[str, object]) -> None:
    """To the sandbox's control API."""
    url = f"{workers.sandbox.control_url}/{what}"
    request = urllib.request.Request(url, json.dumps(fields).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=HANG_S) as response:
        assert response.status == 200
