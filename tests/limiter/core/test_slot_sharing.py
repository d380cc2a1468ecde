"""A shared concurrency limit: slots are divided fairly, idle ones are lent, and each comes back to its account."""

from __future__ import annotations

import heapq
import random
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
import redis

from limiter.core.sharing import Refused
from limiter.core.store import EndedCall, Store
from limiter.core.types import CountedPer, ServiceClass, Share
from limiter.core.window import Call, bind
from tests.limiter.core.contending import EVEN, Asked, Contention, at_random, paced
from tests.limiter.core.fairness import fair
from tests.limiter.core.given import ACME, T0, S, log, slots

SLOTS = slots(10, lease_us=60 * S, counted_per=CountedPer.CONNECTION)
RUN = S // 5


def running(calls: Iterable[tuple[int, str, int]], run_us: int = RUN) -> Iterable[tuple[int, str, int]]:
    """Calls (when, whose) with how long each runs."""
    return ((at_us, tenant, run_us) for at_us, tenant, _ in calls)


def passed_and_made(asked_for: Iterable[Asked], *, from_s: float = 0) -> tuple[Counter[str], Counter[str]]:
    passed, made = Counter[str](), Counter[str]()
    for each in asked_for:
        if each.at_us >= from_s * S:
            made[each.tenant] += 1
            passed[each.tenant] += each.allowed
    return passed, made


def test_a_tenant_below_its_share_passes_beside_a_flooder(redis_url: str) -> None:
    flows = paced("greedy", per_s=100, until_s=40), paced("meek", per_s=4, until_s=40)
    with Contention(redis_url, SLOTS) as contention:
        passed, made = passed_and_made(contention.hold(running(heapq.merge(*flows))))
    assert made["meek"] == 160
    assert passed["meek"] >= 158
    assert passed["greedy"] >= 0.75 * 40 * 50  # of 50 calls a second that ten slots bear


def test_a_look_says_how_many_slots_each_tenant_borrows_and_lends(redis_url: str) -> None:
    flows = paced("greedy", per_s=100, until_s=10), paced("meek", per_s=4, until_s=10)
    with Contention(redis_url, SLOTS) as contention:
        list(contention.hold(running(heapq.merge(*flows))))
        ((greedy,), (meek,)) = (contention.look(name, 10 * S).shares for name in ("greedy", "meek"))
    assert (greedy.even, meek.even) == (5, 5)
    assert greedy.borrowed >= 2 and not meek.borrowed
    assert meek.lent >= 2 and not greedy.lent


def test_a_flooder_alone_uses_every_slot_at_once(redis_url: str) -> None:
    with Contention(redis_url, SLOTS) as contention:
        passed, _ = passed_and_made(contention.hold(running(paced("greedy", per_s=500, until_s=0.1))))
    assert passed["greedy"] == 10


def test_an_owner_that_returns_is_served_when_lent_slots_come_back(redis_url: str) -> None:
    """Its first refusal counts when slots are divided again, in a second; then each slot that ends is the owner's."""
    flows = paced("greedy", per_s=100, until_s=12), paced("owner", per_s=10, from_s=5.05, until_s=12)
    with Contention(redis_url, SLOTS) as contention:
        asked_for = list(contention.hold(running(heapq.merge(*flows), 2 * S)))
    served = [each.at_us for each in asked_for if each.tenant == "owner" and each.allowed]
    assert served[0] <= (5 + 1 + 2.1) * S
    assert len(served) >= 5  # half of the slots, within one run


def test_weights_divide_the_slots_that_are_contended(redis_url: str) -> None:
    weighed = {"two": Share(weight=2), "three": Share(weight=3)}
    flows = [paced(name, per_s=60, until_s=20) for name in ("one", "two", "three")]
    with Contention(redis_url, replace(SLOTS, quota=12), weighed) as contention:
        passed, _ = passed_and_made(contention.hold(running(heapq.merge(*flows))), from_s=10)
    assert [passed[name] for name in ("one", "two", "three")] == pytest.approx([100, 200, 300], abs=10)


def test_critical_calls_pass_at_three_times_the_load(redis_url: str) -> None:
    rng, load = random.Random(1), {"ill": 100, "many": 300, "bulk": 50}
    classes = {"ill": Share(service_class=ServiceClass.CRITICAL), "bulk": Share(service_class=ServiceClass.BULK)}
    flows = [at_random(name, per_s=rate, until_s=20, rng=rng) for name, rate in load.items()]
    with Contention(redis_url, replace(SLOTS, quota=40), classes) as contention:
        passed, made = passed_and_made(contention.hold(running(heapq.merge(*flows))), from_s=2)  # once demand is known
    assert passed["ill"] >= 0.995 * made["ill"]
    assert passed["many"] > 5 * passed["bulk"]


def test_nobody_passes_its_ceiling_and_a_refusal_names_it(redis_url: str) -> None:
    with Contention(redis_url, SLOTS, {"held": Share(ceiling=3)}) as contention:
        *_, refused = contention.hold(running(paced("held", per_s=100, until_s=0.04)))
    (share,) = refused.decision.shares
    assert (share.refused, share.share, share.used) == (Refused.CEILING, 3, 3)
    assert refused.decision.retry_after_us == S


def test_a_floor_is_kept_for_a_tenant_of_the_last_class(redis_url: str) -> None:
    shares = {"slow": Share(floor=4, service_class=ServiceClass.BULK)}
    flows = paced("greedy", per_s=100, until_s=20), paced("slow", per_s=50, until_s=20)
    with Contention(redis_url, SLOTS, shares) as contention:
        passed, _ = passed_and_made(contention.hold(running(heapq.merge(*flows))), from_s=10)
    assert passed["slow"] == pytest.approx(4 * 50, abs=10)


def test_slots_of_a_killed_worker_come_back_with_their_leases(redis_url: str) -> None:
    short = replace(SLOTS, lease_us=5 * S)
    with Contention(redis_url, short) as contention:
        list(contention.ask(paced("dead", per_s=100, until_s=0.1)))  # and no end is recorded
        (refused,) = contention.ask([(4 * S, "dead", 1)])
        (again,) = contention.ask([(6 * S, "dead", 1)])
    assert not refused.allowed
    assert again.allowed and again.used == 1


def test_shares_refuse_the_same_calls_whether_their_sums_are_kept_or_added_up(redis_url: str) -> None:
    """They are not kept while most slots are free; a look adds them up, and so the other pool always keeps them."""
    shares = {"urgent": Share(service_class=ServiceClass.CRITICAL), "floor": Share(floor=3), "bound": Share(ceiling=4)}
    dice = random.Random(1)
    flows = [at_random(name, per_s=8, until_s=30, rng=dice) for name in (*shares, "rush")]
    rush = (
        (at_us, name, cost) for at_us, name, cost in paced("rush", per_s=200, until_s=30) if at_us % (9 * S) > 7.3 * S
    )
    limit, refused, unkept = replace(SLOTS, quota=24), 0, 0
    with (
        Contention(redis_url, replace(limit, name="one"), shares) as one,
        Contention(redis_url, replace(limit, name="other"), shares) as other,
        redis.Redis.from_url(redis_url) as store,
    ):
        for call in running(heapq.merge(*flows, rush)):
            other.finish(call[0])
            other.look(call[1], call[0])
            (ours,), (theirs,) = one.hold([call]), other.hold([call])
            assert ours.reply == theirs.reply
            refused += not ours.allowed
            *_, most_kept = struct.unpack("<dddddddd", store.hget(one.stack("rush").pools[0], "")[:64])
            unkept += most_kept > 0
    assert refused > 500 and unkept > 200


def test_a_lease_that_has_ended_goes_when_slots_are_divided(redis_url: str) -> None:
    short = replace(SLOTS, lease_us=S)
    with Contention(redis_url, short) as contention, redis.Redis.from_url(redis_url) as store:
        list(contention.ask([(0, "dead", 1), (S // 2, "dead", 1)]))
        assert contention.look("dead", 5 * S // 4).states[0].used == 1
        assert store.zcard(contention.stack("dead").windows[0]) == 1


def test_slots_are_shared_with_the_scripts_of_an_earlier_release(redis_url: str) -> None:
    """They wrote six parts of the pool, without the time until which it lives."""
    flows = paced("greedy", per_s=100, until_s=20), paced("meek", per_s=4, until_s=20)
    with Contention(redis_url, SLOTS) as contention, redis.Redis.from_url(redis_url) as store:
        (pool,) = contention.stack("meek").pools
        passed = Counter[str]()
        for number, each in enumerate(contention.hold(running(heapq.merge(*flows)))):
            passed[each.tenant] += each.allowed
            if number % 500 == 100:
                store.hset(pool, "", store.hget(pool, "")[:48])
    assert passed["meek"] >= 78
    assert passed["greedy"] >= 0.75 * 20 * 50


def test_a_pool_of_slots_outlives_its_last_lease(redis_url: str) -> None:
    """Its end is set for a second to come, not by every call, and anew for a longer lease."""
    with Contention(redis_url, SLOTS) as contention, redis.Redis.from_url(redis_url) as store:
        (pool,) = contention.stack("one").pools
        for at_us in (0, S // 2, 2 * S):
            store.persist(pool)
            list(contention.ask([(at_us, "one", 1)]))
            assert (store.pttl(pool) == -1) == (at_us == S // 2)
    with (
        Contention(redis_url, replace(SLOTS, lease_us=600 * S)) as contention,
        redis.Redis.from_url(redis_url) as store,
    ):
        list(contention.ask([(2 * S, "one", 1)]))
        assert store.pttl(pool) >= 600_000


async def test_a_call_that_ends_twice_frees_one_slot_of_its_account(store: Store, redis_url: str) -> None:
    bound = bind([replace(SLOTS, share=replace(EVEN, over_us=4 * S))], subject=ACME)
    for lease in ("one", "two"):
        await store.decide(bound, Call(lease, now_us=T0))
    for _ in range(2):
        await store.record(bound, [EndedCall("one", "answered")], settings=None, now_us=T0)
    with redis.Redis.from_url(redis_url) as client:
        assert client.zrange(bound.slots[0], 0, -1) == [f"two|{bound.slot_accounts[0]}".encode()]
    third = await store.decide(bound, Call("three", now_us=T0))
    assert third.allowed and third.states[0].used == 2


async def test_a_stack_may_share_a_window_and_slots(store: Store) -> None:
    per_minute = log(5, counted_per=CountedPer.CONNECTION, share=replace(EVEN, over_us=10 * S))
    both = bind([per_minute, replace(SLOTS, quota=2, share=replace(EVEN, over_us=4 * S))], subject=ACME)
    one, two, three = [await store.decide(both, Call(f"d{number}", now_us=T0)) for number in range(3)]
    assert one.allowed and two.allowed and not three.allowed
    assert [share.used for share in three.shares] == [2, 2]
    assert [share.refused for share in three.shares] == [Refused.NOTHING, Refused.FULL]


# A walk --------------------------------------------------------------------------------------------------------------

QUOTA, PHASE_S = 30, 16
NAMES = [f"t{number}" for number in range(8)]


@pytest.mark.parametrize("walks", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_walk_of_tenants_that_come_and_go_is_fair(redis_url: str, walks: int) -> None:
    """In the second half of each phase, by the slots that each holds on average; and never more than the limit."""
    steps = 0
    for seed in range(walks):
        rng, begin_s = random.Random(seed), 0
        shares = dict.fromkeys(NAMES, EVEN)
        for name in rng.sample(NAMES, 3):
            shares[name] = Share(weight=rng.randint(1, 4), floor=rng.choice([0, 0, 3]), ceiling=rng.choice([0, 0, 6]))
        with Contention(redis_url, replace(SLOTS, quota=QUOTA, name=f"walk{seed}"), shares) as contention:
            for _ in range(4):
                end_s = begin_s + PHASE_S
                rates = {name: rng.uniform(2, 90) for name in NAMES if rng.random() < 0.75}
                flows = [
                    paced(name, per_s=rate, from_s=begin_s + rng.random(), until_s=end_s)
                    for name, rate in rates.items()
                ]
                asked_for = list(contention.hold(running(heapq.merge(*flows))))
                steps += len(asked_for)
                assert all(each.used <= QUOTA for each in asked_for)
                _check(asked_for, rates, shares, half_s=end_s - PHASE_S / 2)
                begin_s = end_s
    assert steps >= 4_000 * walks


def _check(asked_for: list[Asked], rates: Mapping[str, float], shares: Mapping[str, Share], *, half_s: float) -> None:
    passed, _ = passed_and_made(asked_for, from_s=half_s)
    held = {name: passed[name] * RUN / (PHASE_S / 2 * S) for name in rates}
    wanted = {name: rate * RUN / S for name, rate in rates.items()}
    for name, units in fair(QUOTA, wanted, {name: shares[name] for name in rates}).items():
        spare = units**0.5  # kept free for those that come by chance
        assert held[name] >= units - spare - 1, (name, units, held, wanted, shares[name])
    if sum(min(units, shares[name].ceiling or units) for name, units in wanted.items()) > 1.2 * QUOTA:
        assert sum(held.values()) >= 0.9 * QUOTA, (held, wanted)
