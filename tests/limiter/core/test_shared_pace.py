"""A pace that tenants share: the upstream's time is divided fairly, and none of it is lost to the division."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

import pytest
import redis

from limiter.core import accounts, giving_back, keys
from limiter.core.giving_back import Charge
from limiter.core.pacing import learn
from limiter.core.sharing import PACE, Refused
from limiter.core.store import Store
from limiter.core.types import CountedPer, Portion, ServiceClass, Share, Subject
from limiter.core.window import Call, bind
from tests.limiter.core.contending import Asked, OfConnection, at_random, paced
from tests.limiter.core.fairness import fair
from tests.limiter.core.given import T0, S, log
from tests.limiter.core.hidden_unit import Bucket, Fixed, Hidden, Run, Sliding

EVEN = Portion()
LASTS_S, LEARNING_S = 260, 90


def contention(url: str, shares: Mapping[str, Share] | None = None, *, shared: bool = True) -> OfConnection:
    return OfConnection(url, log(1), shares or {}, shared=shared)


def hold(store: redis.Redis, per_minute: float, *, at_s: float = 0, burst: int | None = None) -> None:
    """As ``pace.lua`` keeps it."""
    interval = round(60 * S / per_minute)
    most = max(2, int(per_minute / 60 * 0.5)) if burst is None else burst
    store.set(keys.pace(1), f"{interval}|{(most - 1) * interval}|{T0 + int(at_s * S)}")


def passed(asked: Iterable[Asked], *, from_s: float = 0) -> Counter[str]:
    return Counter(each.tenant for each in asked if each.allowed and each.at_us >= from_s * S)


@pytest.mark.parametrize("per_minute", [60, 300])
def test_the_meek_pass_beside_a_flooder_and_the_pace_is_used(redis_url: str, raw: redis.Redis, per_minute: int) -> None:
    hold(raw, per_minute)
    rate = per_minute / 60
    lasts_s = 160 / rate / 0.3
    flows = paced("greedy", per_s=rate * 10, until_s=lasts_s), paced("meek", per_s=rate * 0.3, until_s=lasts_s + 0.01)
    with contention(redis_url) as pool:
        asked = list(pool.ask(heapq.merge(*flows)))
    assert sum(each.tenant == "meek" for each in asked) == 160
    assert passed(asked)["meek"] >= 158
    assert sum(passed(asked).values()) >= 0.99 * rate * lasts_s


def test_without_shares_the_first_to_come_is_the_first_served(redis_url: str, raw: redis.Redis) -> None:
    hold(raw, 60)
    flows = paced("greedy", per_s=10, until_s=530), paced("meek", per_s=0.3, until_s=530, from_s=0.05)
    with contention(redis_url, shared=False) as pool:
        assert passed(pool.ask(heapq.merge(*flows)))["meek"] < 40


@pytest.mark.parametrize("per_minute", [60, 300, 1200])
def test_calls_that_come_by_chance_are_mostly_served_at_once(redis_url: str, raw: redis.Redis, per_minute: int) -> None:
    hold(raw, per_minute)
    rate, dice = per_minute / 60, random.Random(1)
    flows = [at_random(name, per_s=rate * part, until_s=600 / rate, rng=dice) for name, part in (("g", 3), ("m", 0.3))]
    with contention(redis_url) as pool:
        asked = list(pool.ask(heapq.merge(*flows)))
    made = sum(each.tenant == "m" for each in asked)
    assert passed(asked)["m"] >= 0.85 * made
    assert sum(passed(asked).values()) >= 0.99 * 600


def test_a_refusal_says_whose_share_of_the_pace_is_used_up(redis_url: str, raw: redis.Redis) -> None:
    hold(raw, 60)
    flows = paced("greedy", per_s=10, until_s=90), paced("meek", per_s=0.3, until_s=90)
    with contention(redis_url) as pool:
        asked = list(pool.ask(heapq.merge(*flows)))
        looks = {name: pool.look(name, 90 * S) for name in ("greedy", "meek")}
    refused = [each.decision for each in asked if not each.allowed][-1]
    assert refused.above_pace and refused.paused_us == refused.retry_after_us
    (share,) = refused.shares
    assert (share.limit.name, share.refused, share.even) == (PACE, Refused.SHARE, 30)
    assert share.used >= 40 and share.borrowed >= 10
    assert all(each.allowed for each in looks.values()), "a look charges nothing"
    (meek,) = looks["meek"].shares
    assert (meek.even, meek.borrowed) == (30, 0) and meek.lent >= 8


def test_nobody_passes_its_ceiling_and_a_pace_that_moves_moves_it(redis_url: str, raw: redis.Redis) -> None:
    with contention(redis_url, {"held": Portion(ceiling=2500)}) as pool:
        for begin_s, per_minute in ((0, 60), (120, 240)):
            hold(raw, per_minute, at_s=begin_s)
            asked = list(pool.ask(paced("held", per_s=10, from_s=begin_s, until_s=begin_s + 120)))
            assert passed(asked, from_s=begin_s + 60)["held"] <= per_minute / 4 + 1
            (share,) = asked[-1].decision.shares
            assert (share.refused, share.share) == (Refused.CEILING, per_minute // 4)


def test_floors_and_classes_divide_the_pace(redis_url: str, raw: redis.Redis) -> None:
    hold(raw, 240)
    bulk = ServiceClass.BULK
    shares = {"slow": Portion(floor=2500, service_class=bulk), "bulk": Portion(service_class=bulk), "two": Portion(2)}
    with contention(redis_url, shares) as pool:
        dice = random.Random(1)
        flows = [at_random(name, per_s=12, until_s=300, rng=dice) for name in ("bulk", "one", "slow", "two")]
        found = passed(pool.ask(heapq.merge(*flows)), from_s=120)
    minutes = {name: found[name] / 3 for name in ("bulk", "one", "slow", "two")}
    assert minutes["slow"] == pytest.approx(60, rel=0.2)
    assert minutes["two"] == pytest.approx(120, rel=0.2) and minutes["one"] == pytest.approx(60, rel=0.25)
    assert minutes["bulk"] <= 30


async def test_the_accounts_of_a_pace_agree_with_looks_at_each(store: Store, redis_url: str, raw: redis.Redis) -> None:
    hold(raw, 60)
    flows = paced("greedy", per_s=10, until_s=90), paced("meek", per_s=0.3, until_s=90)
    with contention(redis_url, {"meek": Portion(2, floor=1000)}) as pool:
        list(pool.ask(heapq.merge(*flows)))
        looks = {name: pool.look(name, 90 * S).shares[0] for name in ("greedy", "meek")}
    found = {each.terms.tenant: each for each in await accounts.read_pace(store, 1, interval_us=S)}
    weights = accounts.weights(found.values())
    for name, look in looks.items():
        account = found[name]
        assert (account.share, account.used, account.kept) == (look.share, look.used, look.kept)
        assert accounts.even(account.terms, weights, effective=60) == look.even
    assert found["meek"].terms == accounts.Terms(2, 2, 1000, 0, "meek", in_parts=True)
    assert 58 <= sum(each.used for each in found.values()) <= 60


async def test_a_look_finds_the_share_of_the_pace_in_a_pause_and_under_a_full_limit_too(
    store: Store, raw: redis.Redis
) -> None:
    hold(raw, 60, burst=10)
    stack = bind([log(2)], subject=Subject(1, "t", "act", ""), paced=EVEN)
    for n in range(3):
        await store.decide(stack, Call(f"d{n}", now_us=T0 + n))
    full = await store.decide(stack, Call("look", charge=False, now_us=T0 + S))
    raw.set(keys.pause(1), f"{T0 + 200 * S}|429|{T0}|0|")
    held = await store.decide(stack, Call("look", charge=False, now_us=T0 + 90 * S))
    assert [(each.allowed, [share.used for share in each.shares]) for each in (full, held)] == [
        (False, [2]),
        (True, [0]),
    ]


async def test_limits_hold_beside_a_shared_pace(store: Store, raw: redis.Redis) -> None:
    """A shared limit, one that counts by a value and appointments have keys of their own."""
    hold(raw, 600, burst=40)
    pool = log(3, name="pool", counted_per=CountedPer.CONNECTION, share=Share(over_us=10 * S))
    valued = log(2, name="contact", counted_by="/id", max_values=5, value="a" * 20)
    held = log(2, name="held", reserve_us=S)
    stacks = {
        3: [pool],
        2: [valued, log(9)],
        1: [replace(pool, name="other"), replace(valued, value="b"), replace(held, quota=1)],
    }
    for quota, limits in stacks.items():
        bound = bind(limits, subject=Subject(1, f"t{quota}", "act", ""), paced=EVEN)
        calls = [Call(f"d{quota}{n}", now_us=T0 + n, client="0" * 20 if quota == 1 else "") for n in range(4)]
        decisions = [await store.decide(bound, each) for each in calls]
        assert [each.allowed for each in decisions] == [n < quota for n in range(4)]
        look = await store.decide(bound, Call("look", charge=False, now_us=T0 + 5))
        assert len(look.states) == len(limits)
        assert [each.limit.name for each in look.shares] == [each.name for each in limits if each.share] + [PACE]
        assert await giving_back.give_back(store, bound, [Charge.of(decisions[0])]) == 1
    assert raw.hget(keys.pace_shares(1), "2|1|0p|0p|t3") is not None


async def test_a_report_leaves_the_calls_that_went_ahead(store: Store, raw: redis.Redis) -> None:
    """Else the pace would forget them, and more would pass than the upstream takes."""
    for shared, kept in ((True, 4), (False, 2)):
        raw.set(keys.pace(1), f"{S}|{S}|{T0 + 4 * S}")
        await learn(store, 1, ran=1, held=0, pushed_back=0, mode="60", shared=shared, now_us=T0)
        assert raw.get(keys.pace(1)) == f"{S}|{S}|{T0 + kept * S}".encode()


# A pace that is learned -----------------------------------------------------------------------------------------------


class SharedRun(Run):
    """A flooder that calls at random and a meek tenant that calls evenly.

    ``served``: whether each call of the meek one was, in the time looked at; ``used``: the part of the limit there.
    """

    shared = True
    served: list[bool]
    used: float

    def flood(self, per_s: float, *, meek_per_s: float, evenly: bool = False) -> list[tuple[float, bool]]:
        """Have both call from now on; the list fills with the times of the meek one's. ``evenly``: not at random."""
        sent: list[tuple[float, bool]] = []
        stacks = {name: bind([], subject=Subject(1, name, "act", ""), paced=EVEN) for name in ("greedy", "meek")}
        turn = itertools.cycle(range(len(self.counts)))

        def calls(name: str, gap_s: Callable[[], float]) -> Callable[[float], Awaitable[None]]:
            async def one(at: float) -> None:
                self.at(at + gap_s(), one)
                self.bound = stacks[name]
                wait_s = await self.decided(next(turn), at)
                if name == "meek":
                    sent.append((at, not wait_s))

            return one

        self.at(0, calls("greedy", lambda: 1 / per_s if evenly else self.rng.expovariate(per_s)))
        self.at(0.3, calls("meek", lambda: 1 / meek_per_s))
        return sent


HIDDEN: dict[str, Callable[[float], Hidden]] = {"bucket": Bucket, "sliding window": Sliding, "fixed window": Fixed}


async def flooded(store: Store, unit: Hidden, seed: int, *, times: float = 2.5, says: bool = True) -> SharedRun:
    """A flooder asks for so many times what the unit takes, and a tenant for 40 % of it, once that has been learned."""
    rate = unit.per_minute / 60
    made = SharedRun(store, unit, rng=random.Random(seed), says=says, workers=2, waits_s=0)
    made.report_regularly()
    sent = made.flood(rate * times, meek_per_s=rate * 0.4)
    await made.until(LASTS_S)
    made.served = [passed for at, passed in sent if at >= LEARNING_S]
    made.used = made.seen.rate(since=LEARNING_S, until=LASTS_S, of=made.seen.ran) / (rate * (LASTS_S - LEARNING_S))
    return made


@pytest.mark.parametrize("flavour", HIDDEN)
@pytest.mark.parametrize(("per_minute", "times", "at_least"), [(60, 2.5, 0.85), (120, 6, 0.92), (300, 2.5, 0.975)])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_the_meek_pass_beside_a_flooder_while_the_pace_of_a_hidden_limit_is_learned(
    store: Store, per_minute: float, times: float, at_least: float, flavour: str, seed: int
) -> None:
    """A pushback refuses everybody, and a full window until it ends: so the pace is raised seldom and by little."""
    made = await flooded(store, HIDDEN[flavour](per_minute), seed, times=times)
    assert sum(made.served) >= at_least * len(made.served)
    assert made.used >= 0.91
    assert made.seen.requests_per_call(since=LEARNING_S) <= 1.06


@pytest.mark.slow
@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("flavour", HIDDEN)
async def test_of_a_hundred_and_sixty_calls_of_the_meek_two_are_lost_on_average(
    store: Store, raw: redis.Redis, flavour: str, says: bool
) -> None:
    runs = []
    for seed in range(101, 111):
        raw.flushall()
        runs.append(await flooded(store, HIDDEN[flavour](300), seed, says=says))
    assert sum(sum(each.served) for each in runs) >= 158 / 160 * sum(len(each.served) for each in runs)
    assert sum(each.used for each in runs) >= 0.97 * len(runs)


@pytest.mark.parametrize("seed", [21, pytest.param(22, marks=pytest.mark.slow)])
async def test_a_bucket_whose_saved_up_burst_is_used_turns_few_calls_away_until_its_rate_is_held_again(
    store: Store, seed: int
) -> None:
    made = await flooded(store, Bucket(120), seed, times=6)
    assert made.seen.rate(since=LEARNING_S, until=LASTS_S, of=made.seen.turned_away) <= 6
    assert sum(made.served) >= 0.98 * len(made.served)
    assert made.used >= 0.97


@pytest.mark.parametrize("seed", [4, pytest.param(25, marks=pytest.mark.slow)])
async def test_a_bucket_turns_a_pace_away_once_more_that_was_not_raised_and_not_a_third_time(
    store: Store, seed: int
) -> None:
    """The calls between two pushbacks say its rate; a minute also has those that were saved up before."""
    made = await flooded(store, Bucket(300), seed)
    assert made.seen.rate(since=LEARNING_S, until=LASTS_S, of=made.seen.turned_away) <= 2


@pytest.mark.parametrize("flavour", HIDDEN)
async def test_a_limit_that_rises_fivefold_is_followed_within_two_minutes(store: Store, flavour: str) -> None:
    rises_s = 145
    made = SharedRun(store, HIDDEN[flavour](60), rng=random.Random(34), says=True, workers=2, waits_s=0)
    made.report_regularly()
    made.at(rises_s, made.change(300))
    made.flood(12.5, meek_per_s=0.4)
    await made.until(rises_s + 120)
    assert max(pace for at, pace in made.seen.paces if at >= rises_s) >= 0.95 * 300


async def test_a_bucket_before_a_tenfold_flood_is_not_taken_for_an_upstream_for_single_calls(store: Store) -> None:
    """The pace is found much too high there, so few calls run between pushbacks; but some came close together."""
    made = await flooded(store, Bucket(60), 3, times=10)
    assert sum(made.served) >= 0.9 * len(made.served)


@pytest.mark.parametrize(("apart_s", "single"), [(0.6, False), (2, True)])
async def test_pushback_that_busy_workers_report_late_is_no_sign_of_an_upstream_for_single_calls(
    store: Store, raw: redis.Redis, apart_s: float, single: bool
) -> None:
    async def report(at_s: float, *, ran: int = 0, pushed_back: int = 0) -> None:
        now_us = T0 + int(at_s * S)
        await learn(store, 1, ran=ran, held=0, pushed_back=pushed_back, said_us=S, shared=True, now_us=now_us)

    for at_s in (0.0, 10.0, 20.0):
        await report(at_s, ran=20)
        await report(at_s + 0.1, pushed_back=1)
    for number in range(1, 5):
        at_s = 30 + number * apart_s
        await report(at_s, ran=1)
        await report(at_s + 0.1, pushed_back=1)
    assert (int(raw.hget(keys.pace_evidence(1), "even") or 0) > 0) == single


# A walk --------------------------------------------------------------------------------------------------------------

NAMES = [f"t{number}" for number in range(8)]
PHASE_S = 240


@pytest.mark.parametrize("walks", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_walk_of_tenants_that_come_and_go_while_the_pace_moves_is_fair(
    redis_url: str, raw: redis.Redis, walks: int
) -> None:
    """In the second half of each phase, by calls a minute; and the pace is used, never exceeded."""
    for seed in range(walks):
        dice, begin_s = random.Random(seed), 0
        terms = {name: Share(dice.choice([1, 1, 2, 3])) for name in NAMES}
        portions = {name: Portion(each.weight) for name, each in terms.items()}
        raw.flushall()
        with contention(redis_url, portions) as pool:
            for per_minute in dice.sample([60, 120, 300, 600], 3):
                hold(raw, per_minute, at_s=begin_s)
                end_s = begin_s + PHASE_S
                each_of = per_minute / 60 / 4
                rates = {name: dice.uniform(0.2, 4) * each_of for name in NAMES if dice.random() < 0.75}
                flows = [
                    paced(name, per_s=rate, from_s=begin_s + dice.random(), until_s=end_s)
                    for name, rate in rates.items()
                ]
                late = [e for e in pool.ask(heapq.merge(*flows)) if e.at_us >= (end_s - PHASE_S / 2) * S]
                _check(late, rates, {name: terms[name] for name in rates}, per_minute)
                begin_s = end_s


def _check(late: list[Asked], rates: Mapping[str, float], shares: Mapping[str, Share], per_minute: int) -> None:
    minutes = PHASE_S / 2 / 60
    found = passed(late)
    wanted = {name: rate * 60 for name, rate in rates.items()}
    for name, calls in fair(per_minute, wanted, shares).items():
        assert found[name] / minutes >= 0.85 * calls - 2, (name, calls, found, wanted, shares)
    total = sum(found.values()) / minutes
    assert total <= 1.01 * per_minute + 5 / minutes
    if sum(wanted.values()) > 1.2 * per_minute:
        assert total >= 0.98 * per_minute, (found, wanted)
