"""Appointments: the unit of a refused call is held until its client comes back for it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from heapq import heappop, heappush

import pytest
import redis

from limiter.core import keys
from limiter.core.store import EndedCall, Store
from limiter.core.types import Decision, Limit
from limiter.core.window import Call, Stack
from tests.limiter.core.booking import Booking, Request
from tests.limiter.core.given import ACME, T0, S, bucket, log, slots, stack
from tests.limiter.core.obedient import herd
from tests.limiter.core.walking import decided

ANA, BEN = "aaaaaaaa" + 12 * "1", "bbbbbbbb" + 12 * "2"
GRACE = 1 * S


def rate(quota: int = 2, *, burst: int = 1, name: str = "rate") -> Limit:
    """``quota`` units a second."""
    return bucket(quota, burst=burst, window_us=S, reserve_us=GRACE, name=name)


def window(quota: int = 2, *, algorithm: str = "sliding_log", name: str = "window") -> Limit:
    """``quota`` units in any second."""
    return Limit(name, algorithm, quota, S, reserve_us=GRACE)


async def call(
    store: Store, bound: Stack, at_us: int, client: str = ANA, *, patience_us: int | None = 0, waited: bool = False
) -> Decision:
    itself = client[:8] + f"{at_us:012x}"
    return await store.decide(
        bound,
        Call(f"d{at_us}", now_us=T0 + at_us, client=client, itself=itself, patience_us=patience_us, waited=waited),
    )


async def test_later_refusals_get_later_appointments(store: Store) -> None:
    bound = stack(rate())
    assert (await call(store, bound, 0)).allowed
    waits = [(await call(store, bound, 0, client)).retry_after_us for client in (ANA, BEN, ANA, BEN)]
    assert waits == [S // 2, S, 3 * S // 2, 2 * S]


async def test_a_client_that_comes_at_its_time_finds_its_unit(store: Store) -> None:
    bound = stack(rate())
    await call(store, bound, 0)
    await call(store, bound, 0, ANA)
    await call(store, bound, 0, BEN)
    assert not (await call(store, bound, S // 2, BEN)).allowed  # it is Ana's
    assert (await call(store, bound, S // 2, ANA)).allowed
    assert (await call(store, bound, S, BEN)).allowed


async def test_a_unit_is_held_for_the_whole_seconds_and_the_grace_and_then_is_free(store: Store) -> None:
    bound = stack(rate())
    await call(store, bound, 0)
    assert (await call(store, bound, 0, ANA)).retry_after_us == S // 2  # in the header: 1 s
    assert not (await call(store, bound, S + GRACE, BEN)).allowed
    bound = stack(rate(name="other"))
    await call(store, bound, 0)
    await call(store, bound, 0, ANA)
    assert (await call(store, bound, S + GRACE + 1, BEN)).allowed


async def test_a_client_that_finds_others_late_waits_a_moment(store: Store) -> None:
    bound = stack(rate())
    await call(store, bound, 0)
    for _ in range(2):
        await call(store, bound, 0, ANA)  # for 0.5 and 1 s, and both come at 1 s
    assert (await call(store, bound, S, ANA)).allowed
    late = await call(store, bound, S + 1, ANA)
    assert (late.held, late.retry_after_us) == (True, S // 2 - 1)
    again = ANA[:8] + f"{S + 1:012x}"
    decision = await store.decide(
        bound, Call("again", now_us=T0 + 3 * S // 2, client=ANA, itself=again, patience_us=0, waited=True)
    )
    assert decision.allowed


async def test_who_waits_here_holds_a_unit_under_its_own_name(store: Store) -> None:
    bound = stack(rate())
    await call(store, bound, 0)
    waiting = await call(store, bound, 1, ANA, patience_us=S)
    assert (waiting.held, waiting.retry_after_us) == (True, S // 2 - 1)
    assert not (await call(store, bound, S // 2, ANA)).allowed  # another call of the same client
    itself = ANA[:8] + f"{1:012x}"
    decision = await store.decide(
        bound, Call("again", now_us=T0 + S // 2, client=ANA, itself=itself, patience_us=S, waited=True)
    )
    assert decision.allowed


async def test_open_appointments_of_a_key_are_bounded(store: Store) -> None:
    bound = stack(rate(1))
    await call(store, bound, 0)
    waits = [(await call(store, bound, 0, ANA)).retry_after_us for _ in range(102)]
    assert waits[99:] == [100 * S, 101 * S, 101 * S]  # the last two are held for nobody
    assert (await call(store, bound, 0, BEN)).retry_after_us == 101 * S


async def test_a_peek_holds_and_takes_nothing(store: Store) -> None:
    bound = stack(rate())
    await call(store, bound, 0)
    assert (await store.decide(bound, Call("p", charge=False, now_us=T0))).retry_after_us == S // 2
    assert (await call(store, bound, 0, ANA)).retry_after_us == S // 2
    peek = await store.decide(bound, Call("p", charge=False, now_us=T0 + S // 2))
    assert (peek.allowed, peek.retry_after_us) == (False, S // 2)  # when the next appointment would be
    assert (await call(store, bound, S // 2, ANA)).allowed


@pytest.mark.parametrize("algorithm", ["sliding_log", "sliding_counter"])
async def test_a_window_holds_the_unit_that_leaves_for_the_client_that_was_refused_first(
    store: Store, algorithm: str
) -> None:
    bound = stack(window(1, algorithm=algorithm))
    await call(store, bound, 0)
    leaves = (await call(store, bound, 0, ANA)).retry_after_us or 0
    behind = (await call(store, bound, 0, BEN)).retry_after_us or 0
    assert leaves >= S and leaves + S <= behind <= leaves + S + S // 30
    assert not (await call(store, bound, leaves, BEN)).allowed  # it is Ana's
    assert (await call(store, bound, leaves, ANA)).allowed
    assert (await call(store, bound, behind, BEN)).allowed


async def test_units_of_a_window_that_nobody_holds_are_free_at_once(store: Store) -> None:
    bound = stack(window(3))
    for _ in range(3):
        await call(store, bound, 0)
    await call(store, bound, 0, ANA)
    assert [(await call(store, bound, S, BEN)).allowed for _ in range(3)] == [True, True, False]
    assert (await call(store, bound, S, ANA)).allowed


async def test_an_appointment_holds_a_unit_of_each_limit(store: Store) -> None:
    bound = stack(rate(10), window(2))
    await call(store, bound, 0)
    assert (await call(store, bound, 0, ANA)).retry_after_us == S // 10
    assert (await call(store, bound, S // 10, BEN)).retry_after_us == S - S // 10  # the window's second unit is Ana's
    assert (await call(store, bound, S // 10, ANA)).allowed


async def test_a_client_whose_slot_is_not_free_keeps_the_unit_of_its_rate(store: Store) -> None:
    """Nobody knows when a running call ends: slots are not held, and a call that needs one takes nothing else."""
    at_once = slots(1, name="at once")
    bound, other = stack(window(1), at_once), stack(at_once)
    ended = await call(store, bound, 0)
    await store.record(bound, [EndedCall(ended.decision_id, "answered")], settings=None)
    assert (await call(store, bound, 1, ANA)).retry_after_us == S - 1
    running = await call(store, other, 2, BEN)
    refused = await call(store, bound, S, ANA)
    assert [each.limit.name for each in refused.violated] == ["at once"]
    await store.record(other, [EndedCall(running.decision_id, "answered")], settings=None)
    assert not (await call(store, bound, S + 1, BEN)).allowed  # its unit waits for Ana
    assert (await call(store, bound, S + 1, ANA)).allowed


async def test_a_cut_that_ends_first_names_the_time_of_an_appointment(store: Store, raw: redis.Redis) -> None:
    """A day's limit of which two fifths are used is cut to one fifth: it passes when the cut ends, not tomorrow."""
    limit = log(20, window_us=86_400 * S, reserve_us=GRACE)
    bound = stack(limit, default_ppm=1_000_000)
    for at in range(8):
        assert (await call(store, bound, at)).allowed
    raw.set(bound.keys[0], 200_000, px=60_000)
    ana, ben = [(await call(store, bound, S, client)).retry_after_us or 0 for client in (ANA, BEN)]
    assert 0 < ana <= ben < 90 * S


CLIENTS = [f"{key:08x}{number:012x}" for key, number in ((1, 1), (1, 2), (2, 3))]
STEPS = 200


@dataclass
class Walk:
    """Calls of three clients at one bucket: early, in time, late and never, some of which wait."""

    seed: int
    store: Store
    now: int = T0
    to_come: list[tuple[int, str, str]] = field(default_factory=list)
    """Calls that wait, and clients that were asked to come back: when, which client, and as which call (or "")."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        quota, name = self.dice.randint(1, 9), f"w{self.seed}"
        limits = (
            rate(quota, burst=self.dice.randint(1, 5), name=name),
            window(quota, name=name),
            window(quota, algorithm="sliding_counter", name=name),
        )
        limit = limits[self.seed % 3]
        self.booking, self.bound = Booking(limit), stack(limit)

    async def go(self) -> None:
        for step in range(STEPS):
            await self.step(step)

    async def step(self, step: int) -> None:
        client, itself, waited = self.dice.choice(CLIENTS), "", False
        if self.to_come and self.dice.random() < 0.6:
            due, client, itself = heappop(self.to_come)
            self.now, waited = max(self.now, due + self.dice.choice((0, 0, 0, 1, 999, S // 3, 2 * S))), bool(itself)
        else:
            self.now += self.dice.choice((0, 0, 1, S // 9, S))
        itself = itself or client[:8] + f"{step + 16:012x}"
        patience = self.dice.choice((None, 0, 0, 0, S, 3 * S))
        cost = 1 + CLIENTS.index(client) % min(2, self.booking.limit.burst or self.booking.limit.quota)
        verdict = self.booking.decide(Request(self.now, cost, client, itself, itself if waited else client, patience))
        call = Call(f"{self.seed}-{step}", cost, True, "", self.now, patience, waited, client, itself)
        decision = await decided(self.store, self.bound, call)
        assert (decision.allowed, decision.held, decision.retry_after_us) == (
            *(verdict.allowed, verdict.waits, verdict.wait),
        ), (self.seed, step)
        if not verdict.allowed and self.dice.random() < 0.9:
            later = verdict.wait if verdict.waits or self.dice.random() < 0.2 else -(-verdict.wait // S) * S
            heappush(self.to_come, (self.now + later, client, itself if verdict.waits else ""))


@pytest.mark.parametrize("number", [30, pytest.param(500, marks=pytest.mark.slow)])
async def test_every_decision_equals_the_oracle_s(store: Store, raw: redis.Redis, number: int) -> None:
    walks = [Walk(seed, store) for seed in range(number)]
    # Some at once: a count lives by the server's clock, and must not end before a slow machine comes to its next step.
    for first in range(0, number, 25):
        await asyncio.gather(*[walk.go() for walk in walks[first : first + 25]])
    kept, broken = sum(walk.booking.kept for walk in walks), sum(walk.booking.broken for walk in walks)
    totals = keys.totals(ACME.connection)
    assert raw.hmget(totals, "acme|returned", "acme|kept") == [b"%d" % (kept + broken), b"%d" % kept]
    assert kept > 10 * number and broken > number / 5


async def test_a_herd_passes_at_its_first_return(store: Store) -> None:
    """Thirty clients of one key at two units a second, that come back when a header in whole seconds lets them."""
    for burst, limit in (
        (1, rate(burst=1, name="herd1")),
        (2, rate(burst=2, name="herd2")),
        (2, window(name="herd3")),
        (2, window(algorithm="sliding_counter", name="herd4")),
    ):
        served = await herd(store, stack(limit), clients=30, since_us=T0, dice=random.Random(limit.name))
        assert (len(served.at), served.late) == (30, 0)
        assert served.requests == 60 - burst
        # A slice of the counter is no whole second, and a header only has these.
        late = S if limit.algorithm == "sliding_counter" else 0
        assert max(served.at) <= 1.05 * (30 - burst) * S / 2 + late
