"""What a connection learns is shared among its tenants: over whole requests, and over sockets with a worker killed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from limiter.core import in_flight, keys
from limiter.core.ends import LearningSettings
from limiter.core.types import Subject
from limiter.models import QuotaLimit, QuotaPolicy
from limiter.record import events
from limiter.record.explain import explain
from quota_platform.sandbox import Running
from quota_platform.sandbox.fields import Fields
from tenants.models import Action, Connection, Tenant
from tests.asgi import Answered
from tests.limiter.gateway.test_hidden_limits import DEMAND, FLAVOURS, LEARNING_S, PER_MINUTE, limit, upstream
from tests.limiter.gateway.test_killed_while_sharing import Flow, one_killed
from tests.limiter.gateway.two_workers import TwoWorkers
from tests.patience import HANG_MS, HANG_S, eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shared(connection: Connection, globex: Tenant, base_policy: QuotaPolicy) -> Connection:
    """A connection that shares its learned limit, and policies that refuse nothing."""
    Action.objects.create(tenant=globex, action_id="lookupOrder")
    QuotaLimit.objects.filter(policy=base_policy).update(quota=100_000)
    QuotaPolicy.objects.update(adaptive=False)
    connection.learns_in_flight = connection.shared = True
    connection.slow_above_ms, connection.max_in_flight, connection.total_deadline_s = 2000, 24, 15
    connection.save()
    return connection


async def test_a_refusal_says_whose_share_of_the_unit_is_used_up(
    acme_key: str, globex_key: str, redis_url: str, raw: redis.Redis, sandbox: Running, shared: Connection
) -> None:
    shared.max_in_flight, shared.total_deadline_s = 1, HANG_S  # one, which no step of the learner moves
    await asyncio.to_thread(shared.save)
    await Action.objects.aupdate(timeout_ms=HANG_MS)
    workers = TwoWorkers(acme_key, redis_url, sandbox)
    async with workers.running():

        async def call(key: str, worker: int = 0) -> Answered:
            headers = [("X-API-Key", key)]
            return await workers.callers[worker].call("POST", "/invoke/lookupOrder", body=b"{}", headers=headers)

        slots = keys.window(in_flight.learned(LearningSettings()).limit, Subject(shared.pk, "", "", ""))

        async def none_in_flight() -> bool:
            return raw.zcard(slots) == 0

        async def one_in_flight() -> bool:
            return raw.zcard(slots) == 1

        assert (await call(globex_key)).status == 200, "so that it is known"
        await eventually(none_in_flight, what="the end of that call in the store")
        sandbox.state.faults.add({"fault": "slow", "ms": HANG_MS, "count": 1})

        async def admitted() -> bool:
            """For a moment more the one unit is kept for who used it last."""
            return (await call(acme_key)).status != 429

        held = asyncio.create_task(eventually(admitted, what="a call that stays"))
        await eventually(one_in_flight, what="a call in flight")

        def by_the_store(key: str) -> Callable[[], Awaitable[Answered | None]]:
            """A worker that finds the store slow decides by itself, and knows of no shares."""

            async def refusal() -> Answered | None:
                answered = await call(key, worker=1)
                return answered if "shares" in answered.json else None

            return refusal

        seen = [await eventually(by_the_store(key), what="a refusal") for key in (acme_key, globex_key)]
        refused = [each for each in seen if each]
        held.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await held
    own, others = (each.json["shares"][0] for each in refused)
    assert [each.status for each in refused] == [429, 429]
    assert (own["limit"], own["refused_by"], own["used"]) == ("(in flight)", "limit", 1)
    assert (others["limit"], others["refused_by"], others["used"]) == ("(in flight)", "limit", 0)
    assert "has 1 of 1 in use, 1 by you, and your share is" in refused[0].json["detail"]
    entries: Any = raw.xrange(keys.events(shared.pk))
    used_by = set()
    for entry, fields in entries:
        explained = await asyncio.to_thread(explain, events.event(entry.decode(), fields[b"event"].decode()))
        (limit,) = (each for each in explained.limits if each.name == "(in flight)")
        used_by |= {limit.share["used"]} if limit.share else set()
    assert used_by == {0, 1}


async def test_a_call_above_the_pace_says_whose_share_of_it_is_used_up(
    acme_key: str, globex_key: str, redis_url: str, raw: redis.Redis, sandbox: Running, shared: Connection
) -> None:
    shared.pace, shared.pace_per_minute = Connection.Pace.FIXED, 2
    await asyncio.to_thread(shared.save)
    raw.set(keys.pace(shared.pk), f"30000000|30000000|{time.time_ns() // 1000}")
    workers = TwoWorkers(acme_key, redis_url, sandbox)
    async with workers.running():

        async def call(key: str) -> Answered:
            headers = [("X-API-Key", key)]
            return await workers.callers[0].call("POST", "/invoke/lookupOrder", body=b"{}", headers=headers)

        greedy = [await call(acme_key) for _ in range(5)]
        refused = greedy[-1]
    assert greedy[0].status == 200 and refused.status == 429
    assert refused.json["type"].endswith("upstream-overloaded")
    (share,) = refused.json["shares"]
    assert share["limit"] == "(pace)" and share["refused_by"] in ("share", "limit")
    assert share["used"] >= 2
    entries: Any = raw.xrange(keys.events(shared.pk))
    (entry, fields) = entries[-1]
    explained = await asyncio.to_thread(explain, events.event(entry.decode(), fields[b"event"].decode()))
    (upstream,) = (each for each in explained.limits if each.name == "(upstream)")
    assert upstream.share is not None and upstream.share["used"] == share["used"]
    assert "Its tenant had" in explained.sentence


@pytest.mark.slow
@pytest.mark.paced
@pytest.mark.parametrize("count", [2, 4])
async def test_the_meek_are_served_beside_a_flooder_while_a_worker_is_killed(
    acme_key: str, globex_key: str, tmp_path: Path, redis_url: str, sandbox: Running, shared: Connection, count: int
) -> None:
    """Ten calls at once, of half a second."""
    shared.max_in_flight = 10
    await asyncio.to_thread(shared.save)
    sandbox.state.put_latency({"ms": 500})
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address}
    first, greedy = Flow(acme_key, 30, lasts_s=5, path="invoke"), Flow(acme_key, 30, path="invoke")
    meek = Flow(globex_key, 4, path="invoke")
    async with one_killed(count, tmp_path, settings, after_s=25) as (session, nodes):
        await first.offer(session, nodes)
        await asyncio.gather(greedy.offer(session, nodes), meek.offer(session, nodes))
    # A busy machine sends them in bursts; at even gaps 158 pass at least (tests/limiter/core/test_learned_sharing.py).
    assert meek.made == 160 and meek.passed >= 0.9 * meek.made
    assert greedy.passed >= 0.35 * 40 * 20  # the slots of the killed one come back with their leases


@pytest.mark.slow
@pytest.mark.paced
async def test_the_meek_are_served_while_the_limit_of_an_overloaded_unit_is_learned(
    acme_key: str, globex_key: str, tmp_path: Path, redis_url: str, sandbox: Running, shared: Connection
) -> None:
    """It works on eight calls at once, of 0.8 s; others stand in its queue. A worker is killed on the way.

    Whenever the limit falls below the calls in flight, nobody is served until enough calls have ended.
    """
    sandbox.state.put_latency({"ms": 800})
    sandbox.state.unit_limits.put(Fields({"concurrency": 8, "queue": True}))
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address}
    learning, greedy = Flow(acme_key, 20, lasts_s=25, path="invoke"), Flow(acme_key, 20, lasts_s=80, path="invoke")
    meek = Flow(globex_key, 2, lasts_s=80, path="invoke")
    async with one_killed(2, tmp_path, settings, after_s=65) as (session, nodes):
        await learning.offer(session, nodes)
        await asyncio.gather(greedy.offer(session, nodes), meek.offer(session, nodes))
    assert meek.made == 160 and meek.passed >= 0.75 * meek.made
    assert greedy.passed >= 0.5 * 80 * 8


@pytest.mark.slow
@pytest.mark.paced
@pytest.mark.parametrize("flavour", ["bucket", "sliding window"])
async def test_the_meek_have_their_share_of_a_hidden_limit_while_a_worker_is_killed(
    acme_key: str, globex_key: str, tmp_path: Path, redis_url: str, sandbox: Running, shared: Connection, flavour: str
) -> None:
    """Five calls a second, which the pace has to find; a worker is killed while both tenants call.

    Each time that the pace has come too high nobody is served for the second that the unit asks for. There the meek
    lose calls: 9 to 13 of 160 before a bucket, and 4 before a sliding window, where it is rare.
    """
    shared.learns_in_flight, shared.pace = False, Connection.Pace.LEARN
    await asyncio.to_thread(shared.save)
    limit(sandbox, PER_MINUTE, **FLAVOURS[flavour])
    settings = {"REDIS_URL": redis_url, "SANDBOX_HOSTS": sandbox.address}
    learning = Flow(acme_key, DEMAND, lasts_s=LEARNING_S, path="invoke")
    greedy, meek = (Flow(key, per_s, lasts_s=80, path="invoke") for key, per_s in ((acme_key, DEMAND), (globex_key, 2)))
    async with one_killed(2, tmp_path, settings, after_s=LEARNING_S + 40) as (session, nodes):
        await learning.offer(session, nodes)
        before, began = upstream(sandbox), time.monotonic()
        await asyncio.gather(greedy.offer(session, nodes), meek.offer(session, nodes))
        lasted_s, after = time.monotonic() - began, upstream(sandbox)
    requests, ran = (late - early for early, late in zip(before, after, strict=True))
    assert meek.made == 160 and meek.passed >= 0.9 * meek.made
    assert requests / ran <= 1.05
    assert ran >= 0.95 * PER_MINUTE * lasted_s / 60
