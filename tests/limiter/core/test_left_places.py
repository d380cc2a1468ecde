"""Places of an upstream that takes so many calls at once, which a flooder leaves to tenants within their share."""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
import redis

from limiter.core import keys
from limiter.core.sharing import Refused
from limiter.core.store import Store
from limiter.core.types import Decision, Portion, Subject
from limiter.core.window import Call, Stack, bind
from tests.limiter.core.contending import at_random, paced
from tests.limiter.core.given import T0, S
from tests.limiter.core.hidden_unit import Bucket, Hidden, InFlight
from tests.limiter.core.test_shared_pace import SharedRun, contention, flooded, hold, passed

LOADS = {300: 2.5, 120: 6.0, 60: 2.5}
ENTRY = struct.Struct("<ddddB")
UNITS: dict[str, Callable[[float], Hidden]] = {
    "single calls": lambda rate: Bucket(rate, burst=1, level=1),
    "in flight": InFlight,
}


def counted(raw: redis.Redis, most: int, *, lease_ms: int = 5000) -> None:
    """As ``pace.lua`` keeps it, of an upstream that takes so many calls at once, of a second each."""
    raw.set(keys.pace(1), f"{S // most}|{S}|{T0}|{most}|{lease_ms}|", ex=600)


class Tenants:
    """Calls of tenants, one at a time. ``ended``: those under way have."""

    def __init__(self, store: Store, raw: redis.Redis) -> None:
        self.store, self.raw = store, raw
        self._stacks: dict[str, Stack] = {}
        self._made = 0

    async def call(self, tenant: str, at_s: float, **more: Any) -> Decision:
        if tenant not in self._stacks:
            self._stacks[tenant] = bind([], subject=Subject(1, tenant, "act", ""), paced=Portion())
        self._made += 1
        return await self.store.decide(self._stacks[tenant], Call(f"d{self._made}", now_us=T0 + int(at_s * S), **more))

    async def regularly(self, tenant: str, *, gap_s: float, until_s: float) -> None:
        """Beside others that ask for all there is, so that it is within its share."""
        at_s = 0.0
        while at_s < until_s:
            await self.call("greedy", at_s - gap_s / 2 if at_s else 0.1)
            for _ in range(8):
                await self.call("greedy", at_s + 0.01)
            self.ended()
            assert (await self.call(tenant, at_s + 0.02)).allowed or at_s < until_s / 2
            self.ended()
            at_s += gap_s

    def ended(self) -> None:
        stored: Any = self.raw.get(keys.pace(1))
        self.raw.set(keys.pace(1), b"|".join([*stored.split(b"|")[:5], b""]) if stored.count(b"|") > 2 else stored)

    def listed(self) -> list[tuple[str, int]]:
        """Whose next calls are known, and their ranks."""
        stored: Any = self.raw.hget(keys.pace_shares(1), "@")
        found, at = [], 1
        while at < len(stored):
            ends = stored.index(b"\0", at + ENTRY.size)
            found.append((stored[at + ENTRY.size : ends].decode(), ENTRY.unpack_from(stored, at)[4]))
            at = ends + 1
        return found


# A pace that is held.


@pytest.mark.parametrize("gap", [2.5, 3.3], ids=["two fifths", "a third"])
def test_a_flooder_leaves_the_next_call_of_a_regular_tenant_its_place(
    redis_url: str, raw: redis.Redis, gap: float
) -> None:
    """One call a second, one after the other: without that it has it as often as it happens to come first."""
    hold(raw, 60, burst=1)
    flows = at_random("greedy", per_s=2.5, until_s=300, rng=random.Random(5)), paced("meek", per_s=1 / gap, until_s=300)
    with contention(redis_url) as pool:
        asked = [each for each in pool.ask(heapq.merge(*flows)) if each.at_us >= 60 * S]
    made = sum(each.tenant == "meek" for each in asked)
    assert passed(asked)["meek"] >= 0.98 * made
    assert sum(passed(asked).values()) >= 0.6 * 240, "the flooder has what fits between"


def test_calls_that_come_by_chance_are_expected_at_no_instant(redis_url: str, raw: redis.Redis) -> None:
    """The time of the upstream would be lost while one that calls one after the other waits for them."""
    hold(raw, 60, burst=1)
    rng = random.Random(6)
    flows = at_random("greedy", per_s=2.5, until_s=300, rng=rng), at_random("meek", per_s=0.4, until_s=300, rng=rng)
    with contention(redis_url) as pool:
        asked = [each for each in pool.ask(heapq.merge(*flows)) if each.at_us >= 60 * S]
    assert sum(passed(asked).values()) >= 0.65 * 240


async def test_a_place_is_left_until_its_tenant_has_been_silent_for_long(store: Store, raw: redis.Redis) -> None:
    hold(raw, 60, burst=1)
    tenants = Tenants(store, raw)
    await tenants.regularly("meek", gap_s=4, until_s=120)
    assert (await tenants.call("greedy", 118.5)).allowed, "it lasts until 119.5, and the next is due at 120"
    held = await tenants.call("greedy", 119.6)
    assert held.above_pace and [share.refused for share in held.shares] == [Refused.FULL]
    assert 0.4 * S <= held.paused_us <= 2 * S, "until that one has had its time to come"
    assert (await tenants.call("greedy", 121.5)).allowed, "it has not come"
    assert (await tenants.call("meek", 124.02)).allowed
    assert (await tenants.call("greedy", 160)).allowed, "it has left"


async def test_a_call_that_waits_has_the_next_place(store: Store, raw: redis.Redis) -> None:
    counted(raw, 1)
    tenants = Tenants(store, raw)
    await tenants.regularly("meek", gap_s=4, until_s=120)
    assert (await tenants.call("greedy", 117.5)).allowed
    assert not (await tenants.call("meek", 118, patience_us=5 * S)).allowed
    tenants.ended()
    assert not (await tenants.call("greedy", 118.5)).allowed
    assert (await tenants.call("meek", 118.6, patience_us=4 * S, waited=True)).allowed
    tenants.ended()
    assert (await tenants.call("greedy", 119)).allowed


async def test_of_more_tenants_than_are_listed_the_others_have_places_together(store: Store, raw: redis.Redis) -> None:
    counted(raw, 2)
    tenants = Tenants(store, raw)
    for second in range(200):
        for _ in range(4):
            await tenants.call("greedy", second)
        await tenants.call(f"t{second % 40}", second + 0.01)
        tenants.ended()
    listed = tenants.listed()
    assert len(listed) <= 17
    assert "" in [name for name, _ in listed], "those that are not listed"


async def test_an_expectation_of_another_release_is_none(store: Store, raw: redis.Redis) -> None:
    hold(raw, 60, burst=1)
    tenants = Tenants(store, raw)
    await tenants.regularly("meek", gap_s=4, until_s=60)
    raw.hset(keys.pace_shares(1), "@", b"\x02of a later one")
    assert (await tenants.call("greedy", 59.6)).allowed
    assert [name for name, _ in tenants.listed()] == ["2|1|0p|0p|greedy"]


async def test_a_pace_of_which_calls_can_go_ahead_keeps_no_list(store: Store, raw: redis.Redis) -> None:
    hold(raw, 60, burst=2)
    tenants = Tenants(store, raw)
    await tenants.call("meek", 0)
    assert raw.hget(keys.pace_shares(1), "@") is None


# A pace that is learned.


@pytest.mark.parametrize(
    ("flavour", "per_minute", "used"),
    [
        ("single calls", 120, 0.66),
        ("in flight", 300, 0.7),
        pytest.param("single calls", 60, 0.57, marks=pytest.mark.slow),
        pytest.param("in flight", 60, 0.5, marks=pytest.mark.slow),
    ],
)
async def test_the_meek_have_their_places_beside_a_flooder(
    store: Store, flavour: str, per_minute: int, used: float
) -> None:
    made = await flooded(store, UNITS[flavour](per_minute), 112, times=LOADS[per_minute])
    assert sum(made.served) >= 0.93 * len(made.served)
    assert made.used >= used


async def test_a_bucket_before_calls_that_come_evenly_is_not_taken_for_an_upstream_for_single_calls(
    store: Store, raw: redis.Redis
) -> None:
    """While the pace rises each call comes closer than those before, also the one that is turned away."""
    made = SharedRun(store, Bucket(300, burst=10), rng=random.Random(1), says=True, workers=2, waits_s=0)
    made.report_regularly()
    made.flood(12.5, meek_per_s=0.001, evenly=True)
    await made.until(170)
    assert raw.hget(keys.pace_evidence(1), "even") == b"0"
    assert made.seen.rate(since=90, until=170, of=made.seen.ran) >= 0.95 * 300 / 60 * 80


@pytest.mark.slow
@pytest.mark.parametrize("flavour", UNITS)
@pytest.mark.parametrize(("per_minute", "least"), [(300, 0.92), (120, 0.95), (60, 0.95)])
async def test_nineteen_of_twenty_calls_of_the_meek_find_their_place_on_average(
    store: Store, raw: redis.Redis, flavour: str, per_minute: int, least: float
) -> None:
    runs = []
    for seed in range(111, 121):
        raw.flushall()
        runs.append(await flooded(store, UNITS[flavour](per_minute), seed, times=LOADS[per_minute]))
    assert sum(sum(each.served) for each in runs) >= least * sum(len(each.served) for each in runs)
