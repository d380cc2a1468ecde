"""A dead unit is noticed before its first timeout: by the age of the calls that it does not respond to."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from limiter.core import keys
from limiter.core.adaptive import AdaptiveSettings, Evidence
from limiter.core.store import Store
from limiter.core.types import PPM
from limiter.core.window import Stack, bind
from limiter.gateway.assessor import Assessor
from limiter.gateway.overdue import Overdue
from limiter.models import QuotaPolicy
from limiter.upstream.call import Flight
from quota_platform.sandbox import Running
from tests.limiter.core.given import ACME, log
from tests.limiter.gateway.two_workers import TwoWorkers
from tests.patience import HANG_S, eventually

RULE = AdaptiveSettings()
HOUR_NS = 3_600_000_000_000


def sent(*, hours_ago: int) -> Flight:
    flight = Flight()
    flight.sent_ns = time.perf_counter_ns() - hours_ago * HOUR_NS
    return flight


async def evidence(store: Store, stack: Stack, *, samples: int) -> Evidence:
    async def of_so_many() -> list[Evidence]:
        found = await store.evidence(stack)
        return [found] if found and found.samples == samples else []

    (found,) = await eventually(of_so_many, what=f"a multiplier computed from {samples} samples")
    return found


async def test_only_calls_whose_request_was_sent_longer_ago_than_the_threshold_are_overdue(store: Store) -> None:
    stack = bind([log(10)], subject=ACME, default_ppm=PPM)
    overdue = Overdue(store, Assessor(store), every_s=0.01)
    between_two_attempts, not_yet_late = Flight(), sent(hours_ago=0)
    late = [sent(hours_ago=1) for _ in range(6)]
    for flight in (between_two_attempts, not_yet_late, *late):
        not_yet_late.sent_ns = time.perf_counter_ns() + HOUR_NS
        overdue.began(flight, stack.multiplier_scope, RULE)
    found = await evidence(store, stack, samples=6)
    assert found.multiplier_ppm == 200_000

    for flight in (between_two_attempts, not_yet_late, *late):
        overdue.ended(flight)

    async def no_report() -> bool:
        name = keys.overdue(*stack.multiplier_scope)
        return not await store.command("EXISTS", name, key=name)

    await eventually(no_report, what="the end of the report")
    await overdue.close()


@pytest_asyncio.fixture
async def workers(
    acme_key: str, redis_url: str, sandbox: Running, base_policy: QuotaPolicy
) -> AsyncIterator[TwoWorkers]:
    base_policy.latency_threshold_ms = 50
    await asyncio.to_thread(base_policy.save)
    made = TwoWorkers(acme_key, redis_url, sandbox)
    async with made.running():
        yield made


@pytest.mark.django_db(transaction=True)
async def test_a_unit_that_stops_responding_cuts_the_multiplier_while_no_call_has_ended(
    workers: TwoWorkers, sandbox: Running
) -> None:
    assert (await workers.call(worker=0)).status == 200
    sandbox.state.faults.add({"fault": "stall"})
    calls = [asyncio.create_task(workers.call(worker=number % 2)) for number in range(6)]

    async def cut() -> str | None:
        peek = await workers.callers[0].call(
            "POST", "/check/lookupOrder", headers=[("X-API-Key", workers.key)], query="peek=1"
        )
        multiplier = peek.headers["x-adaptive-multiplier"]
        return multiplier if float(multiplier) < 1 else None

    await eventually(cut, what="a cut by the ages of the calls in flight")
    assert not any(each.done() for each in calls)
    sandbox.state.faults.clear()
    release = urllib.request.Request(f"{sandbox.control_url}/release", method="POST")
    await asyncio.to_thread(lambda: urllib.request.urlopen(release, timeout=HANG_S).close())
    assert {(await each).status for each in calls} == {200}
