"""Random walks of appointments in shared limits: decisions beside an oracle, and what obedient clients get."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

import pytest

from limiter.core import sharing
from limiter.core.types import CountedPer, Limit, ServiceClass, Share
from limiter.core.window import Call
from tests.limiter.core.booking import Request
from tests.limiter.core.contending import EVEN, Contention, at_random, paced
from tests.limiter.core.fairness import fair
from tests.limiter.core.given import T0, S, bucket, counter, log
from tests.limiter.core.returning import Crowd, Seen, passed, shared_limit, total
from tests.limiter.core.shared_booking import Account, SharedBooking
from tests.limiter.core.shared_booking import Seen as Known

# Obedient clients -----------------------------------------------------------------------------------------------------

QUOTA, PHASE_S, WINDOW_S = 120, 100, 20
NAMES = [f"t{number}" for number in range(8)]
USED, BELOW = 0.98, 2
"""Of the limit, while tenants want more; and the units of a window by which a tenant may miss its share and a slice.

In the slow walks 0.982 and 1.8.
"""


def _flows(dice: random.Random, begin_s: float) -> list[Iterator[tuple[int, str, int]]]:
    """Some of the tenants call, at a pace of their own; the others have left."""
    flows = []
    for name in NAMES:
        if dice.random() < 0.75:
            pace = dice.choice([dice.uniform(0.1, 0.8), dice.uniform(0.8, 2.5)])
            flows.append(paced(name, per_s=pace, from_s=begin_s + dice.random(), until_s=begin_s + PHASE_S))
    return flows


def _weighted(dice: random.Random) -> Share:
    return Share(weight=dice.randint(1, 4), floor=dice.choice([0, 0, 8]), ceiling=dice.choice([0, 0, 30]))


def _check_window(limit: Limit, seen: list[Seen], shares: dict[str, Share]) -> None:
    calls = [each.come for each in seen if not each.come.itself]
    asked, anew = (Counter(each.tenant for each in of) for of in (calls, [each for each in calls if not each.again]))
    served = passed(seen)
    for name in asked:
        # Its own calls that come again are those of an earlier window, and as many of this one come in a later one.
        units = fair(QUOTA, {**asked, name: anew[name]}, shares)[name]
        in_lumps = limit.algorithm == "sliding_counter"  # a slice leaves whole, and counts until then
        assert served[name] >= units - (2 if in_lumps else 1) * units / 60 - BELOW, (name, units, served, asked)
    wanted = sum(min(units, shares[name].ceiling or units) for name, units in asked.items())
    if wanted > 1.2 * QUOTA and seen[0].used > 0.9 * QUOTA:
        assert sum(each.used for each in seen) / len(seen) >= USED * QUOTA


@pytest.mark.parametrize("walks", [1, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("algorithm", ["sliding_log", "sliding_counter", "token_bucket"])
def test_a_walk_of_obedient_tenants_that_come_and_go_is_fair_and_all_promises_are_kept(
    redis_url: str, algorithm: str, walks: int
) -> None:
    """Of each phase the last window, by the calls made in it; and never more than the limit in any."""
    burst = QUOTA if algorithm == "token_bucket" else 0
    limit, steps = Limit("walk", algorithm, QUOTA, WINDOW_S * S, burst=burst), 0
    for seed in range(walks):
        dice = random.Random(seed)
        shares = {name: _weighted(dice) if dice.random() < 0.5 else EVEN for name in NAMES}
        with Contention(redis_url, shared_limit(replace(limit, name=f"walk{seed}")), shares) as contention:
            crowd = Crowd(contention, dice)
            for phase in range(1, 5):
                seen = list(
                    crowd.serve(heapq.merge(*_flows(dice, (phase - 1) * PHASE_S)), until_us=phase * PHASE_S * S)
                )
                steps += len(seen)
                assert all(each.used <= QUOTA for each in seen)
                last = [each for each in seen if each.come.at_us >= (phase * PHASE_S - WINDOW_S) * S]
                _check_window(limit, last, {name: contention.shares.get(name, EVEN) for name in NAMES})
                name = dice.choice(NAMES)
                contention.give({name: _weighted(dice)})
    assert steps >= 1_000 * walks
    returned, kept = total(redis_url, "returned"), total(redis_url, "kept")
    assert kept == returned >= 100 * walks


@pytest.mark.parametrize("limit", [log(20), counter(20, window_us=10 * S)], ids=lambda limit: limit.algorithm)
@pytest.mark.parametrize("ceiling", [4, 8])
def test_promises_are_kept_under_a_ceiling_that_is_edited_while_others_are_open(
    redis_url: str, limit: Limit, ceiling: int
) -> None:
    """Those of before count for the new ceiling, too, when their clients come."""
    dice = random.Random(ceiling)
    with Contention(redis_url, shared_limit(limit)) as contention:
        crowd = Crowd(contention, dice)
        for phase, share in enumerate((EVEN, Share(ceiling=ceiling), Share(weight=2, ceiling=ceiling), EVEN)):
            contention.give({"edited": share})
            flows = [paced(name, per_s=3, from_s=12 * phase, until_s=12 * phase + 12) for name in ("edited", "other")]
            list(crowd.serve(heapq.merge(*flows), until_us=(12 * phase + 12) * S))
        list(crowd.serve([], until_us=120 * S))
    assert total(redis_url, "returned") == total(redis_url, "kept") >= 50


@pytest.mark.parametrize("limit", [log(100), counter(100, window_us=10 * S), bucket(100, burst=100)])
@pytest.mark.parametrize("tenants", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_no_unit_waits_for_its_client_while_all_want_more_than_their_part(
    redis_url: str, limit: Limit, tenants: int
) -> None:
    """All callers come back when they are asked to, and nobody else calls; the first three windows aside.

    By chance one of eight asks for less than its part of a window, and the others get the rest.
    """
    flows = [at_random(f"t{n}", per_s=15 / tenants, until_s=70, rng=random.Random(n)) for n in range(tenants)]
    with Contention(redis_url, shared_limit(limit)) as contention:
        seen = list(Crowd(contention, random.Random(1)).serve(heapq.merge(*flows), until_us=70 * S))
    served = passed(each for each in seen if each.come.at_us >= 30 * S)
    assert served.total() >= 0.99 * 10 * 40
    assert min(served.values()) >= (0.98 if tenants == 4 else 0.84) * 400 / tenants
    assert total(redis_url, "returned") == total(redis_url, "kept")


# Beside an oracle -----------------------------------------------------------------------------------------------------

STEPS = 150
TENANTS = {"t0": 1, "t1": 2, "t2": 1}
"""And how many units a call of each costs at most."""


def _drawn(seed: int, dice: random.Random) -> Limit:
    quota, name = dice.randint(3, 14), f"w{seed}"
    limits = (
        log(quota, window_us=2 * S, name=name),
        counter(quota, window_us=3 * S, name=name),
        bucket(quota, burst=dice.randint(3, 14), window_us=2 * S, name=name),
    )
    return replace(limits[seed % 3], counted_per=CountedPer.CONNECTION, reserve_us=dice.choice((S, 2 * S)))


def _terms(dice: random.Random) -> Share:
    return Share(
        weight=dice.randint(1, 3),
        floor=dice.choice((0, 0, 1)),
        ceiling=dice.choice((0, 0, 3, 4)),
        service_class=dice.choice(list(ServiceClass)),
    )


@dataclass
class Walk:
    """Calls of three tenants: early, in time, late and never, some of which wait."""

    seed: int
    contention: Contention
    dice: random.Random
    now: int = T0
    accounts: dict[str, Account] = field(default_factory=dict)
    to_come: list[tuple[int, str, str, str]] = field(default_factory=list)
    """Calls that wait, and clients that were asked to come back: when, whose, which client, as which call (or "")."""

    def __post_init__(self) -> None:
        self.booking = SharedBooking(self.contention.limit)

    def account_of(self, tenant: str) -> Account:
        stack = self.contention.stack(tenant)
        share = stack.limits[0].share
        assert share is not None
        _, name = sharing.account(share, stack.subject)
        return self.accounts.setdefault(name, Account.of(name, self.contention.limit, share))

    def step(self, step: int) -> None:
        dice, tenant = self.dice, self.dice.choice(list(TENANTS))
        client, itself, waited = f"{tenant.encode().hex():0>8}" + 12 * dice.choice("123"), "", False
        if self.to_come and dice.random() < 0.6:
            due, tenant, client, itself = heappop(self.to_come)
            self.now, waited = max(self.now, due + dice.choice((0, 0, 0, 1, 999, S // 3, S, 2 * S))), bool(itself)
        else:
            self.now += dice.choice((0, 0, 1, S // 20, S // 9, S // 4))
        self.ask(step, tenant, client, itself, waited=waited)

    def burst(self, step: int, names: Sequence[str]) -> None:
        """Tenants that nobody has seen before come at once, and some call again at once."""
        self.contention.give({name: _terms(self.dice) for name in names})
        calls = [name for name in names for _ in range(self.dice.randint(1, 3))]
        for number, name in enumerate(calls, 1_000 * (step + 1)):
            self.ask(number, name, f"{name.encode().hex():0>8}"[-8:] + 12 * "1", "", waited=False)

    def ask(self, step: int, tenant: str, client: str, itself: str, *, waited: bool) -> None:
        dice = self.dice
        if dice.random() < 0.01:
            self.contention.give({tenant: _terms(dice)})
        itself = itself or client[:8] + f"{step + 16:012x}"
        patience = dice.choice((None, 0, 0, 0, S, 3 * S))
        cost = TENANTS.get(tenant, 1) if client.endswith("2") else 1
        (share,) = self.contention.look(tenant, self.now - T0).shares
        account = self.account_of(tenant)
        assert share.used == account.used(self.now) + self.booking.due(self.now, account.name), (self.seed, step)
        request = Request(self.now, cost, client, itself, itself if waited else client, patience)
        call = Call(f"{self.seed}-{step}", cost, True, "", self.now, patience, waited, client, itself)
        decision = self.contention.decide(tenant, call)
        seen = Known(share, self.contention.divided(tenant), decision.allowed)
        verdict = self.booking.decide(request, account, seen)
        assert (decision.allowed, decision.held) == (verdict.allowed, verdict.waits), (self.seed, step)
        if verdict.wait >= 0:
            assert decision.retry_after_us == verdict.wait, (self.seed, step)
        if not verdict.allowed and verdict.wait >= 0 and dice.random() < 0.9:
            later = verdict.wait if verdict.waits or dice.random() < 0.2 else -(-verdict.wait // S) * S
            heappush(self.to_come, (self.now + later, tenant, client, itself if verdict.waits else ""))


def _walked(url: str, seed: int, *, bursts: bool = False) -> Walk:
    dice = random.Random(seed)
    limit = _drawn(seed, dice)
    with Contention(url, limit, {name: _terms(dice) for name in TENANTS}) as contention:
        walk = Walk(seed, contention, dice)
        for step in range(STEPS):
            walk.step(step)
            if bursts and dice.random() < 0.05:
                walk.burst(step, [f"new{step}-{number}" for number in range(dice.randint(2, 6))])
    return walk


@pytest.mark.parametrize("walks", [5, pytest.param(70, marks=pytest.mark.slow)])
@pytest.mark.parametrize("third", range(3), ids=["sliding_log", "sliding_counter", "token_bucket"])
def test_every_decision_equals_the_oracle_s_while_newcomers_come_in_bursts(
    redis_url: str, third: int, walks: int
) -> None:
    kept = sum(_walked(redis_url, seed, bursts=True).booking.kept for seed in range(third, 3 * walks, 3))
    assert kept > 10 * walks


def test_a_part_of_a_unit_that_is_kept_for_others_counts_as_one(redis_url: str) -> None:
    assert _walked(redis_url, 396).booking.kept


def test_a_ceiling_counts_the_oldest_units_of_a_tenant_that_has_asked_for_nothing_since(redis_url: str) -> None:
    assert _walked(redis_url, 76).booking.kept


@pytest.mark.parametrize("walks", [10, pytest.param(140, marks=pytest.mark.slow)])
@pytest.mark.parametrize("third", range(3), ids=["sliding_log", "sliding_counter", "token_bucket"])
def test_every_decision_equals_the_oracle_s(redis_url: str, third: int, walks: int) -> None:
    kept, broken = 0, 0
    for seed in range(third, 3 * walks, 3):
        walk = _walked(redis_url, seed)
        kept, broken = kept + walk.booking.kept, broken + walk.booking.broken
    assert kept > 10 * walks and kept + broken == total(redis_url, "returned")
