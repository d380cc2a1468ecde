"""The count of a shared limit is that of the same limit when it is not shared, also where calls use it both ways."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any

import pytest
import redis

from limiter.core.algorithms import rules_of
from limiter.core.giving_back import Charge, give_back
from limiter.core.store import EndedCall, Store
from limiter.core.types import CountedPer, Decision, Limit, Share
from limiter.core.window import Call, Stack
from tests.limiter.core.given import ACME, T0, S, bucket, counter, log, slots, stack

KINDS = {
    "log": log(60, window_us=6 * S),
    "counter": counter(60, window_us=6 * S),
    "bucket": bucket(60, window_us=6 * S, burst=60),
    "slots": slots(60, lease_us=3 * S),
}
STEPS = 600


class Sides:
    """A limit that tenants share, and that calls under another policy use too; and its twin, which nobody shares."""

    def __init__(self, store: Store, limit: Limit, pick: random.Random) -> None:
        self.store, self.pick = store, pick
        together = replace(limit, counted_per=CountedPer.CONNECTION)
        share = Share(over_us=rules_of(limit.algorithm).shared_over_us(limit))
        self.mixed = (replace(together, share=share), together)
        self.twin = replace(together, name="twin")
        self.open: list[tuple[Stack, Decision, Stack, Decision]] = []

    async def call(self, call: Call) -> tuple[Decision, Decision]:
        """One, charged only if both sides admit it."""
        subject = replace(ACME, tenant=self.pick.choice(["acme", "globex"]))
        ours = stack(self.pick.choice(self.mixed), subject=subject)
        twin = stack(self.twin, subject=replace(subject, connection=2))
        looks = [await self.store.decide(each, call._replace(charge=False)) for each in (ours, twin)]
        if not all(look.allowed for look in looks):
            return looks[0], looks[1]
        first, second = [await self.store.decide(each, call) for each in (ours, twin)]
        self.open.append((ours, first, twin, second))
        return first, second

    async def return_one(self, now_us: int) -> None:
        """The units of one that shares are given back, or the call ends."""
        if not self.open:
            return
        ours, first, twin, second = self.open.pop(self.pick.randrange(len(self.open)))
        if not ours.pools:
            return
        for bound, decision in ((ours, first), (twin, second)):
            if bound.holds_slots:
                await self.store.record(
                    bound, [EndedCall(decision.decision_id, "answered")], settings=None, now_us=now_us
                )
            else:
                await give_back(self.store, bound, [Charge.of(decision)], now_us=now_us)


def calls(pick: random.Random, *, back_us: int = S // 20) -> Iterator[tuple[int, Call]]:
    """Busy times and quiet ones; the clock steps back now and then."""
    now = T0
    for number in range(STEPS):
        now += pick.choice([0, 1, 900, S // 40, S // 10, S // 2, -back_us] if number % 97 else [7 * S, 20 * S])
        yield now, Call(f"d{number}", cost=pick.choice([1, 1, 1, 3]), now_us=now)


async def test_the_pool_of_a_counter_is_found_where_the_release_before_kept_it(store: Store, raw: redis.Redis) -> None:
    limit = replace(KINDS["counter"], counted_per=CountedPer.CONNECTION, share=Share(over_us=61 * S // 10))
    bound = stack(limit)
    for number in range(20):
        await store.decide(bound, Call(f"d{number}", now_us=T0 + number * S // 20))
    (count,) = bound.windows
    earlier = f"{count}:shares{61 * S // 10}"
    for name, value in raw.hgetall(count).items():
        if not name.isalnum():
            raw.hset(earlier, name, value)
            raw.hdel(count, name)
    raw.pexpire(earlier, 6_500)
    decision = await store.decide(bound, Call("look", charge=False, now_us=T0 + 2 * S))
    assert (decision.shares[0].used, decision.states[0].used) == (20, 20)
    assert raw.pttl(count) > 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_decision_names_every_key_that_it_works_on(store: Store, raw: redis.Redis, kind: str) -> None:
    """So that a cluster, and a server that checks scripts, know them; the first call of a pool and later ones."""
    limit = KINDS[kind]
    share = Share(over_us=rules_of(limit.algorithm).shared_over_us(limit))
    bound = stack(replace(limit, counted_per=CountedPer.CONNECTION, share=share))
    with raw.monitor() as monitor:  # type: ignore[no-untyped-call]
        for at in (0, 1, 10 * S):
            await store.decide(bound, Call(f"d{at}", now_us=T0 + at))
        raw.echo("end")
        seen = list(takewhile(lambda each: each["command"] != "ECHO end", monitor.listen()))
    of_script = [each["command"].split() for each in seen if each["client_type"] == "lua"]
    assert {key for verb, key, *_ in of_script if verb != "MGET"} <= {*bound.keys}
    assert len(of_script) > 10


@pytest.mark.parametrize(("since_us", "newcomer"), [(S, 0), (20, 2)], ids=["", "newcomer"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_decision_sends_few_commands_more_than_of_a_limit_that_is_not_shared(
    store: Store, raw: redis.Redis, kind: str, since_us: int, newcomer: int
) -> None:
    """Of a log and a counter it sends fewer, since the pool has their last state. In its first slice, two more."""
    limit = replace(KINDS[kind], counted_per=CountedPer.CONNECTION)
    shared = replace(limit, name="shared", share=Share(over_us=rules_of(limit.algorithm).shared_over_us(limit)))
    sent = []
    for each in (limit, shared):
        for number in range(20):
            await store.decide(stack(each), Call(f"d{number}", now_us=T0 + number))
        await store.decide(stack(each), Call("first of a slice", now_us=T0 + since_us))
        raw.config_resetstat()
        await store.decide(stack(each), Call("d", now_us=T0 + since_us + 1))
        stats: dict[str, dict[str, int]] = raw.info("commandstats")
        others = {"cmdstat_evalsha", "cmdstat_config|resetstat"}
        sent.append(sum(command["calls"] for name, command in stats.items() if name not in others))
    alone, together = sent
    assert together <= alone + {"log": -1, "counter": -1, "bucket": 2, "slots": 0}[kind] + newcomer


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
async def test_it_counts_what_its_twin_counts(store: Store, kind: str, seed: int) -> None:
    pick = random.Random(f"{kind}{seed}")
    sides = Sides(store, KINDS[kind], pick)
    # Leases that have ended stay in a shared limit until it is divided, and count again if the clock steps back.
    steps = calls(pick, back_us=0) if kind == "slots" else calls(pick)
    charged = 0
    for now, call in steps:
        first, second = await sides.call(call)
        (ours,), (twin,) = first.states, second.states
        assert (ours.used, ours.effective) == (twin.used, twin.effective)
        if not (first.shares and first.shares[0].refused):
            assert (first.allowed, ours.wait_us, ours.reset_us) == (second.allowed, twin.wait_us, twin.reset_us)
        charged += first.allowed and second.allowed
        if pick.random() < 0.1:
            await sides.return_one(now)
    assert charged > STEPS / 3


def _sums(raw: redis.Redis, bound: Stack) -> tuple[float, float]:
    """Units that are reserved in the pool of a shared bucket: as they stand behind its count, and by its accounts.

    By accounts: the unused part of each share, of those that have come in this slice their claims and their head start.
    """
    count: Any = raw.get(bound.windows[0])
    pool: Any = raw.hgetall(bound.pools[0])
    accounts = [struct.iter_unpack("<d", state) for name, state in pool.items() if name[1:2] == b"|"]
    states = [[number for (number,) in each] for each in accounts]
    unused = sum(claim[0] if claim else max(0.0, share - used) for used, _, share, _, *claim in states)
    head_start = min(struct.unpack_from("<dd", pool[b"#"], 40)) if len(pool[b"#"]) >= 56 else 0.0
    return sum(struct.unpack_from("<dd", count, -56)), unused + head_start


@pytest.mark.parametrize("seed", range(3))
async def test_the_sums_behind_a_bucket_are_those_of_its_accounts_by_whatever_policy_it_is_charged(
    store: Store, raw: redis.Redis, seed: int
) -> None:
    """Tenants come, calls are refused and given back, and some come by a policy that does not share it."""
    pick = random.Random(seed)
    limit = replace(bucket(600, window_us=3600 * S, burst=60), counted_per=CountedPer.CONNECTION)
    shared = replace(limit, share=Share(over_us=rules_of(limit.algorithm).shared_over_us(limit)))
    given: list[tuple[Stack, Decision]] = []
    looked, now = 0, T0
    for number in range(STEPS):
        now += pick.choice([0, 900, S // 40, S // 10, S // 2, S])
        subject = replace(ACME, tenant=f"t{min(pick.randrange(6), number // 50)}")
        bound = stack(shared if pick.random() < 0.9 else limit, subject=subject)
        decision = await store.decide(bound, Call(f"d{number}", now_us=now, cost=pick.choice([1, 1, 3])))
        if decision.allowed and bound.pools:
            kept, by_accounts = _sums(raw, bound)
            assert kept == pytest.approx(by_accounts)
            looked += 1
            given.append((bound, decision))
        if given and pick.random() < 0.1:
            bound, decision = given.pop()
            await give_back(store, bound, [Charge.of(decision)], now_us=now)
    assert looked > STEPS / 20


@pytest.mark.parametrize("lost", ["the sums", "the count"])
async def test_a_flood_that_is_refused_adds_up_the_accounts_of_a_bucket_once(
    store: Store, raw: redis.Redis, lost: str
) -> None:
    limit = replace(bucket(60, window_us=3600 * S, burst=60), counted_per=CountedPer.CONNECTION)
    share = Share(over_us=3600 * S, ceiling=1)
    bound = stack(replace(limit, share=share))
    await store.decide(bound, Call("d", now_us=T0))
    if lost == "the sums":
        await store.decide(stack(limit), Call("other", now_us=T0 + 1))
    else:
        raw.delete(*bound.windows)
    raw.config_resetstat()
    for number in range(5):
        assert not (await store.decide(bound, Call(f"d{number}", now_us=T0 + 2))).allowed
    stats: dict[str, dict[str, int]] = raw.info("commandstats")
    assert stats["cmdstat_hgetall"]["calls"] == 1
