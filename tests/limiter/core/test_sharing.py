"""A shared limit: nobody gets less than is fair, no unit lies idle that a call needs, and all stay within it."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
import redis

from limiter.core import sharing
from limiter.core.algorithms import rules_of
from limiter.core.giving_back import Charge, give_back
from limiter.core.sharing import Refused
from limiter.core.store import Store
from limiter.core.types import CountedPer, Limit, ServiceClass, Share
from limiter.core.window import Call, bind
from tests.limiter.core.contending import EVEN, Asked, Contention, at_random, paced
from tests.limiter.core.fairness import fair
from tests.limiter.core.given import ACME, T0, S, bucket, counter, log, slots

CRITICAL, BULK = Share(service_class=ServiceClass.CRITICAL), Share(service_class=ServiceClass.BULK)


LOG, COUNTER, BUCKET = (
    replace(limit, counted_per=CountedPer.CONNECTION)
    for limit in (log(100), counter(100, window_us=10 * S), bucket(100, burst=100))
)
KINDS = pytest.mark.parametrize("limit", [LOG, COUNTER, BUCKET], ids=lambda limit: limit.algorithm)


def passed_and_made(asked_for: Iterable[Asked], *, from_s: float = 0) -> tuple[Counter[str], Counter[str]]:
    """How many calls of each tenant passed, of how many."""
    passed, made = Counter[str](), Counter[str]()
    for each in asked_for:
        if each.at_us >= from_s * S:
            made[each.tenant] += 1
            passed[each.tenant] += each.allowed
    return passed, made


@KINDS
def test_a_tenant_below_its_share_passes_beside_a_flooder(redis_url: str, limit: Limit) -> None:
    with Contention(redis_url, limit) as contention:
        flows = paced("greedy", per_s=50, until_s=40), paced("meek", per_s=4, until_s=40)
        passed, made = passed_and_made(contention.ask(heapq.merge(*flows)))
    assert made["meek"] == 160
    assert passed["meek"] >= 158
    assert passed["greedy"] >= 220  # the meek one's share that it does not use is lent


@KINDS
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_calls_a_little_early_or_late_pass_as_well(redis_url: str, limit: Limit, seed: int) -> None:
    """The limit is full beside a flooder, so a call before the one of a window ago has left needs a unit more."""
    rng = random.Random(seed)
    meek = sorted(
        (at_us + rng.randrange(S // 10), name, cost) for at_us, name, cost in paced("meek", per_s=4, until_s=40)
    )
    with Contention(redis_url, limit) as contention:
        passed, made = passed_and_made(contention.ask(heapq.merge(paced("greedy", per_s=50, until_s=40), meek)))
    assert made["meek"] == 160
    assert passed["meek"] >= 158
    assert passed["greedy"] >= 220


def test_a_flooder_alone_uses_the_whole_limit_at_once(redis_url: str) -> None:
    with Contention(redis_url, LOG) as contention:
        passed, _ = passed_and_made(contention.ask(paced("greedy", per_s=500, until_s=1)))
    assert passed["greedy"] == 100


def test_an_owner_that_returns_waits_for_lent_units_to_leave_and_no_longer(redis_url: str) -> None:
    with Contention(redis_url, LOG) as contention:
        list(contention.ask(paced("greedy", per_s=500, until_s=1)))
        flows = paced("greedy", per_s=50, from_s=1, until_s=22), paced("owner", per_s=4, from_s=1, until_s=22)
        asked_for = contention.ask(heapq.merge(*flows))
        served = [each.at_us for each in asked_for if each.tenant == "owner" and each.allowed]
    assert 10 * S <= served[0] <= 10.25 * S
    assert len(served) >= 4 * 11.5


@KINDS
def test_critical_calls_pass_at_three_times_the_load(redis_url: str, limit: Limit) -> None:
    limit = replace(limit, quota=limit.quota * 10, burst=limit.burst * 10)
    rng = random.Random(1)
    load = {"ill": 60, "many": 200, "bulk": 40}
    flows = [at_random(name, per_s=rate, until_s=15, rng=rng) for name, rate in load.items()]
    with Contention(redis_url, limit, {"ill": CRITICAL, "bulk": BULK}) as contention:
        passed, made = passed_and_made(contention.ask(heapq.merge(*flows)))
    assert passed["ill"] >= 0.995 * made["ill"]


def test_bulk_calls_get_what_the_others_leave(redis_url: str) -> None:
    flows = paced("many", per_s=15, until_s=30), paced("bulk", per_s=10, until_s=30)
    with Contention(redis_url, LOG, {"bulk": BULK}) as contention:
        passed, _ = passed_and_made(contention.ask(heapq.merge(*flows)), from_s=10)
    assert passed["bulk"] <= 8 < 190 <= passed["many"]


@pytest.mark.parametrize("given", ServiceClass)
@pytest.mark.parametrize("highest", ServiceClass)
def test_a_key_lowers_the_class_of_its_calls_and_never_raises_it(given: ServiceClass, highest: ServiceClass) -> None:
    order = list(ServiceClass)
    number, account = sharing.account(Share(service_class=given), replace(ACME, max_class=highest))
    assert order[number - 1] == max(given, highest, key=order.index)
    assert account == f"{number}|1|0|0|acme"


def test_a_key_of_a_lower_class_waits_behind_the_others_where_no_limit_is_shared() -> None:
    assert [sharing.rank(None, replace(ACME, max_class=each)) for each in ServiceClass] == [2, 2, 3]


def test_a_key_of_a_lower_class_multiplies_neither_the_floor_nor_the_ceiling_of_its_tenant() -> None:
    bulk = replace(ACME, max_class=ServiceClass.BULK)
    assert sharing.account(Share(floor=10), bulk) == (3, "3|1|0|0|acme")
    assert sharing.account(Share(ceiling=10), bulk) == sharing.account(Share(ceiling=10), ACME)


def test_weights_divide_contended_units(redis_url: str) -> None:
    flows = [paced(name, per_s=30, until_s=30) for name in ("one", "two", "three")]
    with Contention(
        redis_url, replace(LOG, quota=120), {"two": Share(weight=2), "three": Share(weight=3)}
    ) as contention:
        passed, _ = passed_and_made(contention.ask(heapq.merge(*flows)), from_s=10)
    assert [passed[name] for name in ("one", "two", "three")] == pytest.approx([40, 80, 120], abs=4)


def test_a_floor_is_kept_for_a_tenant_of_the_last_class(redis_url: str) -> None:
    shares = {"slow": Share(floor=20, service_class=ServiceClass.BULK)}
    flows = paced("greedy", per_s=50, until_s=30), paced("slow", per_s=10, until_s=30)
    with Contention(redis_url, LOG, shares) as contention:
        passed, _ = passed_and_made(contention.ask(heapq.merge(*flows)), from_s=10)
    assert 38 <= passed["slow"] <= 46


def test_floors_above_a_cut_limit_are_cut_alike(redis_url: str) -> None:
    """Forms refuse them, but a multiplier may leave less than was promised."""
    shares = {"one": Share(floor=30), "two": Share(floor=60)}
    flows = [paced(name, per_s=20, until_s=30) for name in shares]
    with Contention(redis_url, replace(LOG, quota=45), shares) as contention:
        passed, _ = passed_and_made(contention.ask(heapq.merge(*flows)), from_s=10)
    assert [passed[name] for name in shares] == pytest.approx([30, 60], abs=4)


def test_nobody_passes_its_ceiling_and_a_refusal_names_it(redis_url: str) -> None:
    with Contention(redis_url, LOG, {"held": Share(ceiling=10)}) as contention:
        asked_for = list(contention.ask(paced("held", per_s=20, until_s=21)))
    times = [each.at_us for each in asked_for if each.allowed]
    assert max(sum(at - 10 * S < other <= at for other in times) for at in times) == 10
    refused = next(each.decision for each in asked_for if not each.allowed)
    (share,) = refused.shares
    assert (share.refused, share.used) == (Refused.CEILING, 10)
    assert refused.retry_after_us


def test_a_tenant_at_its_ceiling_that_pauses_for_more_than_a_window_has_all_of_it_again(redis_url: str) -> None:
    with Contention(redis_url, LOG, {"held": Share(ceiling=10)}) as contention:
        asked_for = list(contention.ask([(0, "held", 10), (25 * S, "held", 10)]))
    assert [each.allowed for each in asked_for] == [True, True]


def test_a_cost_above_the_ceiling_can_never_pass(redis_url: str) -> None:
    with Contention(redis_url, LOG, {"held": Share(ceiling=10)}) as contention:
        (answer,) = contention.ask([(0, "held", 11)])
    assert not answer.allowed
    assert answer.decision.retry_after_us is None


def test_a_refusal_says_share_use_and_what_is_kept_for_others(redis_url: str) -> None:
    flows = paced("greedy", per_s=50, until_s=2), paced("meek", per_s=4, until_s=2)
    with Contention(redis_url, LOG) as contention:
        refused = [each.decision for each in contention.ask(heapq.merge(*flows)) if not each.allowed]
    (share,) = refused[-1].shares
    assert (share.refused, share.share, share.used) == (Refused.SHARE, 50, 50)
    assert share.owed == pytest.approx(50 - 8, abs=2)


def test_a_refusal_says_what_is_borrowed_and_what_is_lent(redis_url: str) -> None:
    """The flooder has borrowed what the meek leaves; an owner whose even part is lent finds the limit full."""
    flows = paced("greedy", per_s=50, until_s=20), paced("meek", per_s=1 / 3, until_s=20)
    with Contention(redis_url, LOG) as contention:
        *_, refused = (each for each in contention.ask(heapq.merge(*flows)) if not each.allowed)
        burst = list(contention.ask(paced("meek", per_s=1000, from_s=20.2, until_s=20.3)))
    (of_greedy,), (of_meek,) = refused.decision.shares, burst[-1].decision.shares
    assert (of_greedy.even, of_meek.even) == (50, 50)
    assert of_greedy.borrowed == of_greedy.used - 50 >= 40
    assert of_meek.refused == Refused.FULL
    lent = sharing.lent(of_meek.refused, even=of_meek.even, share=of_meek.share, used=of_meek.used)
    assert lent == 50 - of_meek.used >= 30


@pytest.mark.parametrize(
    "limit",
    [LOG, slots(10, lease_us=60 * S, counted_per=CountedPer.CONNECTION)],
    ids=lambda limit: limit.algorithm,
)
def test_a_newcomer_that_is_refused_counts_once_in_its_even_part(redis_url: str, limit: Limit) -> None:
    with Contention(redis_url, limit) as contention:
        list(contention.ask((number, "greedy", 1) for number in range(limit.quota)))
        (refused,) = contention.ask([(S // 2, "new", 1)])
    assert not refused.allowed
    assert refused.decision.shares[0].even == limit.quota // 2


def test_a_look_says_what_each_tenant_borrows_lends_and_is_owed_and_changes_nothing(redis_url: str) -> None:
    flows = paced("greedy", per_s=50, until_s=25), paced("meek", per_s=2, until_s=25)
    shares = {"greedy": Share(floor=5), "meek": Share(floor=10, ceiling=60)}
    with Contention(redis_url, LOG, shares) as contention:
        list(contention.ask(heapq.merge(*flows)))
        greedy, meek = ({contention.look(name, 25 * S).shares for _ in range(2)} for name in shares)
    ((of_greedy,),), ((of_meek,),) = greedy, meek
    assert (of_greedy.even, of_meek.even) == (50, 50)
    assert (of_meek.borrowed, of_greedy.lent) == (0, 0)
    assert of_meek.used == pytest.approx(20, abs=2)
    assert of_meek.lent == pytest.approx(30, abs=3)
    assert of_greedy.borrowed == pytest.approx(of_meek.lent, abs=4)
    assert of_meek.kept == of_greedy.owed <= 4


def test_a_pool_is_shared_with_the_script_of_an_earlier_release(redis_url: str) -> None:
    """It wrote three parts of the pool, without the time of the last charge."""
    flows = paced("greedy", per_s=50, until_s=20), paced("meek", per_s=4, until_s=20)
    with Contention(redis_url, LOG) as contention, redis.Redis.from_url(redis_url) as store:
        (pool,) = contention.stack("meek").pools
        passed = Counter[str]()
        for number, each in enumerate(contention.ask(heapq.merge(*flows))):
            passed[each.tenant] += each.allowed
            if number % 500 == 100:
                store.hset(pool, "", store.hget(pool, "")[:24])
    assert passed["meek"] >= 78
    assert sum(passed.values()) >= 190


def test_a_look_shows_the_share_of_a_tenant_at_its_ceiling(redis_url: str) -> None:
    with Contention(redis_url, LOG, {"held": Share(ceiling=10)}) as contention:
        list(contention.ask(paced("held", per_s=20, until_s=1)))
        (share,) = contention.look("held", S).shares
    assert (share.refused, share.share, share.used, share.even) == (Refused.CEILING, 10, 10, 10)


def test_an_edited_share_counts_at_once(redis_url: str) -> None:
    with Contention(redis_url, LOG) as contention:
        list(contention.ask(paced("held", per_s=20, until_s=1)))
    with Contention(redis_url, LOG, {"held": Share(ceiling=5)}) as contention:
        passed, _ = passed_and_made(contention.ask(paced("held", per_s=20, from_s=1, until_s=2)))
    assert passed["held"] == 5


async def test_a_limit_beside_a_shared_one_may_hold_units_for_refused_calls(store: Store) -> None:
    shared = replace(LOG, share=replace(EVEN, over_us=LOG.window_us))
    both = bind([shared, bucket(1, burst=1, reserve_us=S)], subject=ACME)
    first, second = [
        await store.decide(both, Call(f"d{number}", now_us=T0, client=f"{number:020x}")) for number in range(2)
    ]
    assert first.allowed and not second.allowed
    (share,) = second.shares
    assert share.used == 1


def test_the_count_outlives_its_last_unit(redis_url: str) -> None:
    """Its end is set once in a slice of the pool, for all units that are charged in it, and anew after a stranger's."""
    limit, window_ms = replace(LOG, window_us=600_000 * S), 600_000_000
    with Contention(redis_url, limit) as contention, redis.Redis.from_url(redis_url) as client:
        key = contention.stack("one").windows[0]
        list(contention.ask([(0, "one", 1), (900 * S, "one", 1)]))
        assert client.pttl(key) >= window_ms + 900_000
        client.rpush(key, T0 + 900 * S + 1)  # as a stack without shares charges
        client.pexpire(key, window_ms)
        list(contention.ask([(900 * S + 2, "one", 1)]))
        assert client.pttl(key) > window_ms


@KINDS
def test_a_call_that_keeps_its_wait_passes_when_nobody_else_calls(redis_url: str, limit: Limit) -> None:
    """The wait of a refusal by the share is a bound: by then it passes."""
    rng, begin = random.Random(7), 0
    with Contention(redis_url, limit, {"a": Share(weight=3), "b": Share(ceiling=30), "c": BULK}) as contention:
        for turn in range(12):
            until_s = begin + 6
            paces = {name: rng.uniform(1, 40) for name in "abcd"}
            flows = [
                at_random(name, per_s=pace, from_s=begin, until_s=until_s, rng=rng) for name, pace in paces.items()
            ]
            *_, last = (each for each in contention.ask(heapq.merge(*flows)) if not each.allowed)
            wait = last.decision.retry_after_us
            assert wait
            (again,) = contention.ask([(max(last.at_us + wait, until_s * S), last.tenant, last.cost)])
            assert again.allowed, (turn, last)
            begin = again.at_us // S + 1 + rng.randrange(30)


def test_a_thousand_tenants_share_beside_a_flooder(redis_url: str) -> None:
    """Each asks less than its share, and all of them pass once shares are known."""
    meek = [(int(n * 10 * S / 1_000 + turn * 10 * S), f"t{n}", 1) for turn in range(2) for n in range(1_000)]
    flood = paced("greedy", per_s=100, until_s=20)
    with Contention(redis_url, replace(LOG, quota=1_500)) as contention:
        passed, made = passed_and_made(contention.ask(heapq.merge(meek, flood)), from_s=10)
    assert passed.total() - passed["greedy"] >= 0.99 * (made.total() - made["greedy"])
    assert passed["greedy"] >= 200  # who has just come keeps a little more than it needs


# Walks ---------------------------------------------------------------------------------------------------------------

QUOTA, PHASE_S = 600, 40
NAMES = [f"t{number}" for number in range(10)]


def _phase(rng: random.Random, begin_s: float) -> list[Iterator[tuple[int, str, int]]]:
    """Some of the tenants call, at a pace of their own; the others have left."""
    flows = []
    for name in NAMES:
        if rng.random() < 0.75:
            pace = rng.choice([rng.uniform(0.5, 6), rng.uniform(6, 25)])
            flows.append(paced(name, per_s=pace, from_s=begin_s + rng.random(), until_s=begin_s + PHASE_S))
    return flows


def _shares(rng: random.Random) -> dict[str, Share]:
    drawn = dict.fromkeys(NAMES, EVEN)
    for name in rng.sample(NAMES, 4):
        drawn[name] = Share(weight=rng.randint(1, 4), floor=rng.choice([0, 0, 40]), ceiling=rng.choice([0, 0, 150]))
    return drawn


@KINDS
@pytest.mark.parametrize("walks", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_walk_of_tenants_that_come_and_go_is_fair(redis_url: str, limit: Limit, walks: int) -> None:
    """In the last window of each phase, by the calls made in it; and never more than the limit in any."""
    limit, steps = replace(limit, quota=QUOTA, burst=limit.burst and QUOTA), 0
    for seed in range(walks):
        rng = random.Random(seed)
        shares, begin_s = _shares(rng), 0
        with Contention(redis_url, replace(limit, name=f"walk{seed}"), shares) as contention:
            for _ in range(5):
                asked_for = list(contention.ask(heapq.merge(*_phase(rng, begin_s))))
                begin_s += PHASE_S
                steps += len(asked_for)
                last = [
                    each
                    for each in asked_for
                    if each.at_us >= begin_s * S - rules_of(limit.algorithm).shared_over_us(limit)
                ]
                _check_window(limit, last, {each.tenant: shares[each.tenant] for each in last})
    assert steps >= 11_000 * walks  # of each of three algorithms


def _check_window(limit: Limit, asked_for: list[Asked], shares: dict[str, Share]) -> None:
    assert all(each.used <= QUOTA for each in asked_for)
    passed, asked = passed_and_made(asked_for)
    in_lumps = limit.algorithm == "sliding_counter"  # a slice leaves whole, and counts until then
    for name, units in fair(QUOTA, asked, shares).items():
        assert passed[name] >= units - (2 if in_lumps else 1) * units / 60 - 5, (name, units, passed, asked)
    wanted = sum(min(units, shares[name].ceiling or units) for name, units in asked.items())
    if wanted > 1.15 * QUOTA and asked_for[0].used > 0.9 * QUOTA:  # a bucket has room until it has run dry
        used = sum(each.used for each in asked_for) / len(asked_for)
        assert used >= (0.98 if in_lumps else 0.99) * QUOTA


# Giving back ---------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("later_s", [0, 3], ids=["in-its-slice", "later"])
async def test_units_given_back_leave_the_share_once(store: Store, redis_url: str, limit: Limit, later_s: int) -> None:
    """Its tenant may use them again, and nobody else is the worse for it."""
    with Contention(redis_url, limit) as contention:
        flows = paced("greedy", per_s=50, until_s=2), paced("meek", per_s=25, until_s=2)
        greedy = [each for each in contention.ask(heapq.merge(*flows)) if each.tenant == "greedy" and each.allowed]
        charges = [Charge.of(each.decision) for each in greedy[:10]]
        at_us = greedy[9].at_us if not later_s else later_s * S
        bound = contention.stack("greedy")
        for _ in range(2):
            await give_back(store, bound, charges, now_us=T0 + at_us)
        again = list(contention.ask(paced("greedy", per_s=100, from_s=max(2, later_s), until_s=max(2, later_s) + 0.3)))
    back = sum(each.allowed for each in again)
    if limit is BUCKET:  # it gives back as much as it has not refilled since, and refills
        assert 5 <= back <= 14 + 10 * later_s
    else:
        assert 10 <= back <= 11
