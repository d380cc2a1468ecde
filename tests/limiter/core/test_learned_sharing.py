"""The learned limit of calls in flight, shared: each tenant has its part of what the unit bears, as that moves."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import pytest
import redis

from limiter.core import in_flight, keys
from limiter.core.ends import LearningSettings
from limiter.core.in_flight import IN_FLIGHT
from limiter.core.learned import Mode, State
from limiter.core.sharing import Refused
from limiter.core.types import Portion, ServiceClass, Share
from tests.limiter.core.contending import Asked, OfConnection, paced
from tests.limiter.core.fairness import fair
from tests.limiter.core.given import S, slots
from tests.limiter.core.test_slot_sharing import RUN, passed_and_made, running

SETTINGS = LearningSettings(max_in_flight=100, lease_us=60 * S)
EVEN = Portion()


def contention(redis_url: str, shares: Mapping[str, Share] | None = None, *, shared: bool = True) -> OfConnection:
    return OfConnection(redis_url, slots(100), shares or {}, learning=SETTINGS, shared=shared)


def learn(store: redis.Redis, allowed: int) -> None:
    state = State(steps=7, mode=Mode.FOLLOWING, limit=float(allowed))
    store.set(keys.in_flight(1), in_flight.write(state, SETTINGS))


def flood(until_s: float, *meek: Iterator[tuple[int, str, int]]) -> Iterable[tuple[int, str, int]]:
    return running(heapq.merge(paced("greedy", per_s=100, until_s=until_s), *meek))


def test_a_tenant_below_its_share_of_what_was_learned_passes_beside_a_flooder(redis_url: str, raw: redis.Redis) -> None:
    learn(raw, 10)
    with contention(redis_url) as learning:
        passed, made = passed_and_made(learning.hold(flood(40, paced("meek", per_s=4, until_s=40))))
    assert made["meek"] == 160
    assert passed["meek"] >= 158
    assert passed["greedy"] >= 0.75 * 40 * 50  # of 50 calls a second that ten slots bear


def test_without_shares_the_first_to_come_is_the_first_served(redis_url: str, raw: redis.Redis) -> None:
    learn(raw, 10)
    with contention(redis_url, shared=False) as learning:
        passed, _ = passed_and_made(learning.hold(flood(40, paced("meek", per_s=4, until_s=40))))
    assert passed["meek"] < 120


def test_a_refusal_says_that_the_unit_s_limit_is_full_and_the_tenant_above_its_share(
    redis_url: str, raw: redis.Redis
) -> None:
    learn(raw, 10)
    with contention(redis_url) as learning:
        asked = list(learning.hold(flood(10, paced("meek", per_s=4, until_s=10))))
        (meek,) = learning.look("meek", 10 * S).shares
    refused = [each for each in asked if not each.allowed][-1]
    (share,) = refused.decision.shares
    assert (refused.tenant, share.limit.name, share.even) == ("greedy", IN_FLIGHT, 5)
    assert share.refused in (Refused.SHARE, Refused.FULL) and share.borrowed > 0
    assert meek.lent >= 2 and not meek.borrowed


def test_parts_follow_the_learned_limit(redis_url: str, raw: redis.Redis) -> None:
    """Floors and ceilings are parts of it: of twenty slots a half are ten, and of four are two."""
    shares = {"slow": Portion(floor=5000, service_class=ServiceClass.BULK), "held": Portion(ceiling=2500)}
    with contention(redis_url, shares) as learning:
        for begin_s, allowed in ((0, 20), (20, 4)):
            learn(raw, allowed)
            flows = [paced(name, per_s=100, from_s=begin_s, until_s=begin_s + 20) for name in ("greedy", *shares)]
            asked = list(learning.hold(running(heapq.merge(*flows))))
            passed, _ = passed_and_made(asked, from_s=begin_s + 10)
            assert passed["slow"] * RUN / (10 * S) == pytest.approx(allowed / 2, abs=0.2)
            assert passed["held"] * RUN / (10 * S) <= allowed / 4
            at_ceiling = [each.decision.shares[0] for each in asked if not each.allowed and each.tenant == "held"]
            assert {each.share for each in at_ceiling[-5:]} == {allowed // 4}


def test_calls_from_before_the_limit_was_shared_leave_their_slots(redis_url: str, raw: redis.Redis) -> None:
    learn(raw, 4)
    with contention(redis_url, shared=False) as before:
        list(before.hold(running(paced("old", per_s=100, until_s=0.04))))
        with contention(redis_url) as learning:
            (refused,) = learning.hold([(S // 10, "new", RUN)])
            assert not refused.allowed and refused.used == 4
            before.finish(S)
            assert all(each.allowed for each in learning.hold([(S, "new", RUN), (S, "old", RUN)]))


# A walk --------------------------------------------------------------------------------------------------------------

PHASE_S = 16
NAMES = [f"t{number}" for number in range(8)]


@pytest.mark.parametrize("walks", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_walk_of_tenants_that_come_and_go_while_the_limit_moves_is_fair(
    redis_url: str, raw: redis.Redis, walks: int
) -> None:
    """In the second half of each phase, by the slots that each holds on average; and never more than was learned."""
    for seed in range(walks):
        dice, begin_s = random.Random(seed), seed * 1000
        terms = {name: Share() for name in NAMES}
        for name in dice.sample(NAMES, 3):
            terms[name] = Share(dice.randint(1, 4), dice.choice([0, 0, 10]), dice.choice([0, 0, 20]))
        portions = {name: Portion(each.weight, 100 * each.floor, 100 * each.ceiling) for name, each in terms.items()}
        with contention(redis_url, portions) as learning:
            for allowed in dice.choices([10, 20, 30, 50], k=4):
                learn(raw, allowed)
                rates = {name: dice.uniform(2, 3 * allowed) for name in NAMES if dice.random() < 0.75}
                flows = [
                    paced(name, per_s=rate, from_s=begin_s + dice.random(), until_s=begin_s + PHASE_S)
                    for name, rate in rates.items()
                ]
                begin_s += PHASE_S
                asked = list(learning.hold(running(heapq.merge(*flows))))
                late = [each for each in asked if each.at_us >= (begin_s - PHASE_S / 2) * S]
                assert all(each.used <= allowed for each in late if each.allowed)
                _check(late, rates, {name: _units(terms[name], allowed) for name in rates}, allowed)


def _units(terms: Share, allowed: int) -> Share:
    """Percent as slots."""
    ceiling = max(1, terms.ceiling * allowed // 100) if terms.ceiling else 0
    return replace(terms, floor=terms.floor * allowed // 100, ceiling=ceiling)


def _check(late: list[Asked], rates: Mapping[str, float], shares: Mapping[str, Share], allowed: int) -> None:
    passed = Counter(each.tenant for each in late if each.allowed)
    held = {name: passed[name] * RUN / (PHASE_S / 2 * S) for name in rates}
    wanted = {name: rate * RUN / S for name, rate in rates.items()}
    for name, units in fair(allowed, wanted, shares).items():
        spare = units**0.5  # kept free for those that come by chance
        assert held[name] >= units - spare - 1, (name, units, held, wanted, shares[name])
    if sum(min(units, shares[name].ceiling or units) for name, units in wanted.items()) > 1.2 * allowed:
        assert sum(held.values()) >= allowed - 0.75 * allowed**0.5, (held, wanted)  # kept free for them together
