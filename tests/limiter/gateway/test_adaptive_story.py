"""Limits that follow a slow upstream, end to end: the sandbox over real HTTP, its client, the store, the gateway."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from limiter.core import adaptive, keys
from limiter.core.adaptive import AdaptiveSettings
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.sandbox import Running
from tenants.models import Tenant
from tests.asgi import Answered
from tests.limiter.gateway.two_workers import TwoWorkers
from tests.patience import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def quick(acme: Tenant) -> QuotaPolicy:
    """40 per minute; p95 above 100 ms cuts. A small threshold, so that the test waits for milliseconds."""
    policy = QuotaPolicy.objects.create(
        name="Quick", latency_threshold_ms=100, sensitivity=0.5, sample_size=10, min_samples=5, cut_on_pushback=True
    )
    QuotaLimit.objects.create(policy=policy, name="minute", quota=40, window_seconds=60)
    Assignment.objects.create(policy=policy, target=Assignment.Target.TENANT, tenant=acme)
    return policy


@pytest.fixture
def eighteen_at_once(quick: QuotaPolicy) -> QuotaPolicy:
    QuotaLimit.objects.create(policy=quick, name="inflight", algorithm="concurrency", quota=18)
    return quick


class World(TwoWorkers):
    """Every call that ends has the multiplier computed."""

    def __init__(self, key: str, redis_url: str, sandbox: Running) -> None:
        super().__init__(key, redis_url, sandbox)
        for runtime in self.runtimes:
            runtime.assessor.every_ms = 1

    async def multiplier(self, *, worker: int) -> float:
        """The one that the calls so far have led to: none of their samples waits to be assessed."""
        await eventually(self._all_assessed, what="the last samples")
        data = await self.callers[worker].call("GET", "/metrics/acme/lookupOrder", headers=[("X-API-Key", self.key)])
        return float(data.json["adaptive_multiplier"])

    async def _all_assessed(self) -> bool:
        name = keys.unassessed(await self.connection_id())
        return not await self.runtimes[0].store.command("EXISTS", name, key=name)

    async def forget_the_window(self) -> None:
        """Another minute begins: the calls so far count no more."""
        entries = f"{keys.tag(await self.connection_id())}:w:minute:l:a:acme:lookupOrder"
        await self.runtimes[0].store.command("DEL", entries, key=entries)

    async def latencies_ms(self) -> list[float]:
        name = keys.samples(await self.connection_id(), "acme", None)
        samples = adaptive.parse(await self.runtimes[0].store.command("LRANGE", name, 0, -1, key=name))
        return [sample.latency_us / 1000 for sample in samples if sample.latency_us is not None]

    async def connection_id(self) -> int:
        entry = await self.runtimes[0].snapshot.tenant("acme")
        assert entry is not None
        return entry.tenant.connection.id


@pytest_asyncio.fixture
async def world(acme_key: str, redis_url: str, sandbox: Running, quick: QuotaPolicy) -> AsyncIterator[World]:
    made = World(acme_key, redis_url, sandbox)
    async with made.running():
        yield made


async def test_the_multiplier_falls_with_latency_on_every_worker_and_recovers_with_it(world: World) -> None:
    world.sandbox.state.put_latency({"ms": 150})
    for _ in range(6):
        assert (await world.call()).status == 200
    seen = await world.latencies_ms()
    assert min(seen) >= 150
    rule = adaptive.multiplier(float(np.percentile(seen, 95)), _settings())
    assert rule < 1
    for worker in (0, 1):

        async def follows(worker: int = worker) -> bool:
            return await world.multiplier(worker=worker) == pytest.approx(rule, abs=1e-6)

        await eventually(follows, what="the rule over all samples")

    world.sandbox.state.put_latency({"ms": 0})
    calls = 0
    while await world.multiplier(worker=0) < 1:
        assert (await world.call(worker=1)).status == 200
        calls += 1
        assert calls <= 30, "ten fast calls push the slow ones out; a few more allow for a busy machine"
    assert await world.multiplier(worker=1) == 1.0


async def test_what_only_the_cut_refuses_is_called_reduced_capacity_with_an_exact_wait(world: World) -> None:
    world.sandbox.state.put_latency({"ms": 250})
    responses: list[Answered] = []
    while not responses or (responses[-1].status == 200 and len(responses) < 40):
        responses.append(await world.call())
    refused = responses[-1].json
    assert refused["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    assert refused["multiplier"] < 1
    assert refused["effective_limit"] == max(1, int(40 * round(refused["multiplier"] * 1_000_000) // 1_000_000))
    assert refused["limit"] == 40
    assert responses[-1].headers["ratelimit-policy"] == f'"minute";q={refused["effective_limit"]};w=60'
    assert responses[0].headers["ratelimit-policy"] == '"minute";q=40;w=60', "before there was a cut"
    for response in responses:
        cut = int(40 * round(float(response.headers["x-adaptive-multiplier"]) * 1_000_000) // 1_000_000)
        assert response.headers["ratelimit-policy"] == f'"minute";q={cut};w=60', "as each was decided"
    wait_ms, used = refused["retry_after_ms"], refused["used"]
    assert 0 < wait_ms <= 60_000
    await _wait_is_exact(world, wait_ms=wait_ms, used=used, effective=refused["effective_limit"])


async def _wait_is_exact(world: World, *, wait_ms: float, used: int, effective: int) -> None:
    """The wait ends with the (used - effective + 1)-th oldest call of the window, not with the oldest."""
    entries = f"{keys.tag(await world.connection_id())}:w:minute:l:a:acme:lookupOrder"
    store = world.runtimes[0].store
    frees = int(await store.command("LINDEX", entries, used - effective, key=entries))
    seconds, micros = await store.command("TIME", key=entries)
    left_ms = (frees + 60_000_000 - int(seconds) * 1_000_000 - int(micros)) / 1000
    assert left_ms <= wait_ms <= left_ms + 5_000


async def test_a_ramp_is_followed_down_and_back_up_without_flapping(world: World) -> None:
    """The sandbox's ramp, 20 ms to 200 ms and back in three minutes of its own clock, in steps of 20 s."""
    world.sandbox.state.put_latency({"profile": "ramp", "base_ms": 20, "factor": 10})
    seen = []
    for _ in range(13):
        responses = await asyncio.gather(*[world.call(worker=at % 2) for at in range(6)])
        assert {response.status for response in responses} <= {200, 429}
        seen.append(await world.multiplier(worker=0))
        await world.forget_the_window()
        world.sandbox.state.advance(20)
    lowest = seen.index(min(seen))
    falling = seen[: lowest + 1]
    assert min(seen) <= 0.5
    assert max(seen[:2]) >= 0.8 and max(seen[-5:]) >= 0.8, "not cut at either end; a step may meet a busy machine"
    assert all(after <= before + 0.25 for before, after in itertools.pairwise(falling)), "down, and not up and down"


async def test_a_load_of_our_own_making_is_cut_until_it_is_gone_and_never_runs_away(
    world: World, eighteen_at_once: QuotaPolicy
) -> None:
    """The sandbox's load: 20 ms alone, 200 ms with 18 of its 20 places taken. Cutting the calls cuts the latency."""
    world.sandbox.state.put_latency({"profile": "load", "base_ms": 20, "capacity": 20})
    rounds = []
    for _ in range(9):
        before = await world.multiplier(worker=0)
        responses = await asyncio.gather(*[world.call(worker=at % 2) for at in range(18)])
        await world.forget_the_window()
        took = [float(response.headers["x-upstream-latency-ms"]) for response in responses if response.status == 200]
        rounds.append((before, len(took), statistics.median(took)))
    free = [typical for before, _, typical in rounds if before == 1.0]
    cut = [(admitted, typical) for before, admitted, typical in rounds if before < 0.9]
    assert cut, "the load is noticed"
    assert min(typical for _, typical in cut) < max(free), "a single call may meet a busy machine, half of them do not"
    assert all(1 <= admitted < 18 for admitted, _ in cut)
    assert min(before for before, _, _ in rounds) >= 0.2


async def test_an_upstream_that_turns_calls_away_cuts_by_their_share(world: World) -> None:
    world.sandbox.state.faults.add({"fault": "429", "count": 1000, "where": "invoke", "retry_after_seconds": 0})
    world.sandbox.state.put_latency({"ms": 0})
    calls = 0
    while await world.multiplier(worker=1) == 1.0:
        assert (await world.call()).status == 429
        calls += 1
        assert calls <= 10, "five samples are enough; a few more allow for one that came too soon to be computed with"
    assert await world.multiplier(worker=1) == 0.2


async def test_revoked_tokens_are_renewed_and_no_caller_sees_an_error(world: World) -> None:
    assert (await world.call()).status == 200
    world.sandbox.state.tokens.revoke()
    assert [(await world.call(worker=worker)).status for worker in (0, 1)] == [200, 200]


def _settings() -> AdaptiveSettings:
    return AdaptiveSettings(latency_threshold_ms=100, sensitivity=0.5)
