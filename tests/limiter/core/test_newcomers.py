"""Tenants that come anew to a shared limit: units are kept for them by their calls, and all others are lent."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, cast

import pytest
import redis

from limiter.core import keys
from limiter.core.giving_back import Charge, give_back
from limiter.core.sharing import Refused
from limiter.core.store import Store
from limiter.core.types import CountedPer, Limit, Share
from tests.limiter.core.contending import EVEN, Asked, Contention, paced
from tests.limiter.core.fairness import fair
from tests.limiter.core.given import T0, S, bucket, counter, log, slots

QUOTA = 1_000
WINDOWS = [
    replace(limit, counted_per=CountedPer.CONNECTION)
    for limit in (
        log(QUOTA, window_us=60 * S),
        counter(QUOTA, window_us=60 * S),
        bucket(QUOTA, burst=QUOTA, window_us=60 * S),
    )
]
KINDS = pytest.mark.parametrize("limit", WINDOWS, ids=lambda limit: limit.algorithm)
SLOTS = slots(QUOTA, lease_us=60 * S, counted_per=CountedPer.CONNECTION)
COMING = pytest.mark.parametrize("newcomers", [0, 1, 3, 20, 200])

BEGIN_US = 61 * S + S // 10
"""By then the tenant of before has called for a window; slices are a second."""


def established(contention: Contention) -> None:
    list(contention.ask(paced("old", per_s=1, until_s=61)))


def one_each(newcomers: int, at_us: int = BEGIN_US) -> Iterator[tuple[int, str, int]]:
    return ((at_us + number, f"new{number}", 1) for number in range(newcomers))


def asking(tenant: str, calls: int, at_us: int) -> Iterator[tuple[int, str, int]]:
    return ((at_us + number, tenant, 1) for number in range(calls))


def passed(asked_for: list[Asked]) -> Counter[str]:
    return Counter(each.tenant for each in asked_for if each.allowed)


@KINDS
@COMING
def test_beside_newcomers_of_one_call_all_is_lent_but_the_even_part_of_one(
    redis_url: str, limit: Limit, newcomers: int
) -> None:
    with Contention(redis_url, limit) as contention:
        established(contention)
        assert all(each.allowed for each in contention.ask(one_each(newcomers)))
        (look,) = contention.look("old", BEGIN_US + S // 10).states
        served = passed(list(contention.ask(asking("old", QUOTA, BEGIN_US + S // 10))))
    even = QUOTA // (1 + newcomers) if newcomers else 0
    assert served["old"] >= QUOTA - look.used - even


@COMING
def test_beside_newcomers_of_one_slot_all_is_lent_but_the_even_part_of_one(redis_url: str, newcomers: int) -> None:
    with Contention(redis_url, SLOTS) as contention:
        list(contention.hold((at_us, name, S // 5) for at_us, name, _ in paced("old", per_s=5, until_s=61)))
        list(contention.hold((at_us, name, 10 * S) for at_us, name, _ in one_each(newcomers)))
        (look,) = contention.look("old", BEGIN_US + S // 10).states
        asked = asking("old", QUOTA, BEGIN_US + S // 10)
        served = passed(list(contention.hold((at_us, name, 10 * S) for at_us, name, _ in asked)))
    even = QUOTA // (1 + newcomers) if newcomers else 0
    kept_for_its_chance = 5
    assert served["old"] >= QUOTA - look.used - even - kept_for_its_chance


def test_slots_that_newcomers_have_given_back_are_lent_as_well(redis_url: str) -> None:
    with Contention(redis_url, replace(SLOTS, quota=30)) as contention:
        list(contention.hold((at_us, name, S // 5) for at_us, name, _ in paced("old", per_s=5, until_s=61)))
        list(contention.hold((at_us, name, S // 20) for at_us, name, _ in one_each(20)))
        asked = asking("old", 30, BEGIN_US + S // 4)
        served = passed(list(contention.hold((at_us, name, 10 * S) for at_us, name, _ in asked)))
    assert served["old"] >= 30 - 1 - 5


def alternately(newcomers: int, calls: int) -> Iterator[tuple[int, str, int]]:
    """Each newcomer asks so often, and the tenant of before once for each of their calls."""
    number = 0
    for _ in range(calls):
        for name in range(newcomers):
            yield BEGIN_US + 2 * number, f"new{name}", 1
            yield BEGIN_US + 2 * number + 1, "old", 1
            number += 1


@KINDS
@pytest.mark.parametrize("newcomers", [1, 3, 20])
def test_newcomers_that_ask_for_their_even_part_at_once_get_three_fifths_of_it_beside_a_flood(
    redis_url: str, limit: Limit, newcomers: int
) -> None:
    """As much again as each has asked for is kept; the rest they get as lent units leave."""
    even = QUOTA // (1 + newcomers)
    with Contention(redis_url, limit) as contention:
        established(contention)
        served = passed(list(contention.ask(alternately(newcomers, even))))
    assert min(served[f"new{name}"] for name in range(newcomers)) >= 0.6 * even
    assert sum(served.values()) >= QUOTA - 61 - 1


@KINDS
def test_one_newcomer_that_asks_for_its_even_part_at_once_gets_all_of_it(redis_url: str, limit: Limit) -> None:
    """Nineteen others of a call each have come before it, and the tenant of before asks for all that is free."""
    with Contention(redis_url, limit) as contention:
        established(contention)
        list(contention.ask([*one_each(20), *asking("old", QUOTA, BEGIN_US + 100)]))
        served = passed(list(contention.ask(asking("new19", 60, BEGIN_US + 2_000))))
    assert served["new19"] == QUOTA // 21 - 1


@KINDS
def test_the_first_of_several_newcomers_cannot_take_the_parts_of_those_that_follow(
    redis_url: str, limit: Limit
) -> None:
    """Nobody has called before. Once a second one is there, the first may only borrow what that leaves."""
    with Contention(redis_url, limit) as contention:
        list(contention.ask([(0, "first", 1), (1, "second", 1)]))
        *_, last = contention.ask(asking("first", QUOTA, 10))
        served = passed(list(contention.ask(asking("second", QUOTA, 2_000))))
    (share,) = last.decision.shares
    assert (share.refused, share.share, share.used) == (Refused.SHARE, 500, 500)
    assert served["second"] == 499


@KINDS
def test_the_floor_of_each_newcomer_is_its_own_at_once(redis_url: str, limit: Limit) -> None:
    shares = {f"new{number}": Share(floor=100) for number in range(5)}
    with Contention(redis_url, limit, shares) as contention:
        established(contention)
        list(contention.ask([*one_each(5), *asking("old", QUOTA, BEGIN_US + 100)]))
        asked = [each for name in shares for each in asking(name, 99, BEGIN_US + S // 2)]
        served = passed(list(contention.ask(sorted(asked))))
    assert all(served[name] == 99 for name in shares)


@KINDS
async def test_a_newcomer_whose_call_is_given_back_has_its_even_part_as_before(
    store: Store, redis_url: str, limit: Limit
) -> None:
    with Contention(redis_url, limit) as contention:
        established(contention)
        ours, _ = contention.ask([(BEGIN_US, "new", 1), (BEGIN_US + 1, "other", 1)])
        given = await give_back(store, ours.stack, [Charge.of(ours.decision)], now_us=T0 + BEGIN_US + 2)
        assert given == 1
        (look,) = contention.look("new", BEGIN_US + 3).shares
        list(contention.ask(asking("old", QUOTA, BEGIN_US + 10)))
        served = passed(list(contention.ask(asking("new", QUOTA, BEGIN_US + 2_000))))
    assert (look.used, look.share) == (0, QUOTA // 2)
    assert served["new"] >= QUOTA // 3 - 1


# A walk --------------------------------------------------------------------------------------------------------------

LASTS_S, WARM_S = 60, 12
USED = 0.84
"""Of the limit. While nobody has left yet, as much is kept for a window as newcomers were refused."""
LEARNT_S, USED_LATER = 25, 0.955
"""Where most have left after one visit."""


def bursts(rng: random.Random) -> Iterator[tuple[int, str, int]]:
    """Every few seconds up to sixty tenants that nobody has seen before come within a slice, and leave."""
    at_s, number = 1.0, 0
    while (at_s := at_s + rng.uniform(1, 4)) < LASTS_S:
        coming = range(number, number := number + rng.choice([1, 3, 20, 60]))
        calls = [(at_s + rng.random() / 6, name) for name in coming for _ in range(rng.randint(1, 3))]
        yield from ((int(at * S), f"new{name}", 1) for at, name in sorted(calls))


@KINDS
@pytest.mark.parametrize("walks", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_walk_with_bursts_of_newcomers_is_fair_and_leaves_little_idle(
    redis_url: str, limit: Limit, walks: int
) -> None:
    """Four tenants ask for more than the limit all the time; never more than the limit is used."""
    steps = 0
    for seed in range(walks):
        rng = random.Random(seed)
        walked = replace(limit, name=f"walk{seed}", quota=600, window_us=10 * S, burst=limit.burst and 600)
        flows = [paced(f"t{number}", per_s=rng.uniform(20, 40), until_s=LASTS_S) for number in range(4)]
        with Contention(redis_url, walked) as contention:
            asked_for = list(contention.ask(heapq.merge(*flows, bursts(rng))))
        steps += len(asked_for)
        assert all(each.used <= 600 for each in asked_for)
        late = [each for each in asked_for if each.at_us >= WARM_S * S]
        assert sum(each.used for each in late) >= USED * 600 * len(late)
        learnt = [each for each in late if each.at_us >= LEARNT_S * S]
        assert sum(each.used for each in learnt) >= USED_LATER * 600 * len(learnt)
        served, asked = passed(late), Counter(each.tenant for each in late)
        parts = fair(600 / 10 * (LASTS_S - WARM_S), asked, dict.fromkeys(asked, EVEN))
        for number in range(4):
            assert served[f"t{number}"] >= 0.95 * parts[f"t{number}"], (seed, served, parts)
    assert steps >= 5_000 * walks


# Visitors, which come once -------------------------------------------------------------------------------------------


class Returning(NamedTuple):
    served: int
    asked: int
    used: list[int]


def returning(contention: Contention, flows: Iterator[tuple[int, str, int]], dice: random.Random) -> Returning:
    """Newcomers' refused calls come back up to three times, after the whole seconds of their ``Retry-After``."""
    to_come, served, asked, used = [(*call, 0) for call in flows], 0, 0, list[int]()
    heapq.heapify(to_come)
    while to_come:
        at_us, name, cost, tries = heapq.heappop(to_come)
        (each,) = contention.ask([(at_us, name, cost)])
        if at_us >= LEARNT_S * S:
            used.append(each.used)
        if not name.startswith("new") or (at_us < LEARNT_S * S and not tries):
            continue
        served, asked = served + each.allowed, asked + (not tries)
        if not each.allowed and tries < 3:
            wait_us = each.decision.retry_after_us or S
            heapq.heappush(to_come, (at_us + -(-wait_us // S) * S + dice.randrange(S // 10), name, cost, tries + 1))
    return Returning(served, asked, used)


@KINDS
def test_three_of_five_calls_of_visitors_that_come_back_pass_and_little_is_idle(redis_url: str, limit: Limit) -> None:
    """Where most newcomers have left after one visit, a thirtieth of the limit is kept free for those that come."""
    rng = random.Random(1)
    limit = replace(limit, quota=600, window_us=10 * S, burst=limit.burst and 600)
    flows = [paced(f"t{number}", per_s=rng.uniform(20, 40), until_s=LASTS_S) for number in range(4)]
    with Contention(redis_url, limit) as contention:
        seen = returning(contention, heapq.merge(*flows, bursts(rng)), rng)
    assert max(seen.used) <= 600
    assert sum(seen.used) >= USED_LATER * 600 * len(seen.used)
    assert seen.served >= 0.6 * seen.asked


@pytest.mark.parametrize("limit", WINDOWS[:2], ids=lambda limit: limit.algorithm)
@pytest.mark.parametrize("late_s", [0, 1])
def test_a_unit_is_kept_for_a_newcomer_until_its_retry_after_is_over(redis_url: str, limit: Limit, late_s: int) -> None:
    """Others left after one visit. A flood has emptied the limit at once, so nothing leaves for most of a window."""
    limit = replace(limit, quota=100, window_us=10 * S)
    visitors = ((at_us, f"new{at_us}", 1) for at_us in range(0, 54 * S, S // 10))
    begin_s = 54 + 2 * 10
    with Contention(redis_url, limit) as contention:
        list(contention.ask(heapq.merge(paced("greedy", per_s=60, until_s=54), visitors)))
        list(contention.ask(paced("greedy", per_s=200, from_s=begin_s, until_s=begin_s + 1)))
        (refused,) = contention.ask([((begin_s + 1) * S, "obedient", 1)])
        wait_us = refused.decision.retry_after_us
        assert wait_us and wait_us >= 8 * S
        comes_us = (begin_s + 1 + late_s) * S + wait_us + S // 5
        list(contention.ask(paced("greedy", per_s=200, from_s=begin_s + 1, until_s=comes_us / S)))
        (again,) = contention.ask([(comes_us, "obedient", 1)])
    assert again.allowed is (not late_s)


# A release before this one -------------------------------------------------------------------------------------------


def pool_of(contention: Contention) -> str:
    stack = contention.stack("any")
    (limit,) = stack.limits
    assert limit.share
    return keys.shares(limit, stack.subject, limit.share)


def forget_claims(store: redis.Redis, pool: str, *, account_bytes: int) -> None:
    """As a worker of a release before this one leaves the pool that it charges."""
    for name, state in cast(dict[bytes, bytes], store.hgetall(pool)).items():
        if name == b"#":
            store.hset(pool, name, state[:40])
        elif b"|" in name and not name.startswith(b"~"):
            store.hset(pool, name, state[:account_bytes])


@pytest.mark.parametrize("limit", [*WINDOWS, SLOTS], ids=lambda limit: limit.algorithm)
def test_a_pool_whose_claims_an_earlier_release_leaves_out_is_shared_on(redis_url: str, limit: Limit) -> None:
    rng, of_slots = random.Random(1), limit is SLOTS
    limit = replace(limit, quota=60, burst=limit.burst and 60)
    with Contention(redis_url, limit) as contention, redis.Redis.from_url(redis_url) as store:
        pool = pool_of(contention)
        at_us, asked_for = 0, list[Asked]()
        for number in range(600):
            at_us += rng.randrange(S // 20)
            tenant = f"new{number // 20}" if rng.random() < 0.5 else "old"
            ask = contention.hold if of_slots else contention.ask
            asked_for += ask([(at_us, tenant, S // 5 if of_slots else 1)])
            if rng.random() < 0.2:
                forget_claims(store, pool, account_bytes=96 if of_slots else 32)
    assert max(each.used for each in asked_for) <= 60
    assert sum(each.allowed for each in asked_for) >= 60
