"""An upstream that takes so many calls at once, of unequal length: counted, held, and probed."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
import redis

from limiter.core import keys
from limiter.core.pacing import Ended, HeldPace, learn
from limiter.core.store import Store
from tests.limiter.core.given import ACME, T0, S, call, log, stack
from tests.limiter.core.hidden_unit import InFlight, Run, Seen, run
from tests.limiter.core.unequal_unit import Unequal

C = ACME.connection
BOUND = stack(log(100))
PREVIOUS = re.compile(rb"\d+\|\d+\|\d+\|(\d+)\|(\d+)\|([0-9a-f]*)$")
"""As decide.lua of the release before reads a pace."""


def in_flight(raw: redis.Redis, most: int) -> None:
    """As ``pace.lua`` keeps it, of an upstream that is known to take so many calls at once, of a second each."""
    raw.set(keys.pace(C), f"{S // most}|{S}|{T0}|{most}|5000|", ex=600)
    raw.hset(keys.pace_evidence(C), mapping={"rate": most, "most": most})


async def waits(store: Store, *at_us: int) -> list[int]:
    return [(await call(store, BOUND, at, lease=f"d{at}")).paused_us for at in at_us]


async def ends(store: Store, at_us: int, *sent_us: int, held: int = 0) -> HeldPace:
    """These calls end now."""
    ended = [Ended(at_us - sent, 0) for sent in sent_us]
    return await learn(store, C, ran=len(ended), held=held, pushed_back=0, ended=ended, now_us=T0 + at_us)


# Holding.


async def test_the_end_of_a_call_lets_the_next_one_through(store: Store, raw: redis.Redis) -> None:
    in_flight(raw, 2)
    assert [wait > 0 for wait in await waits(store, 0, S // 2, S)] == [False, False, True]
    assert (await ends(store, 2 * S, 0)).at_once, "ends are wanted as they come"
    assert [wait > 0 for wait in await waits(store, 2 * S, 3 * S)] == [False, True]


async def test_the_wait_for_a_call_under_way_is_a_hint(store: Store, raw: redis.Redis) -> None:
    """Until the oldest has lasted as long as calls do, and then an eighth of that."""
    in_flight(raw, 1)
    assert await waits(store, 0, S // 4, S - 1000, 3 * S) == [0, S * 3 // 4, S // 8, S // 8]


async def test_a_call_whose_end_nobody_reports_counts_until_its_lease_ends(store: Store, raw: redis.Redis) -> None:
    in_flight(raw, 1)
    assert [wait > 0 for wait in await waits(store, 0, 5 * S - 1000, 5 * S)] == [False, True, False]


# Learning.


def at_most(unit: InFlight, seen: Seen, *, since: float, until: float) -> float:
    """The share of its limit that ran."""
    return seen.rate(since=since, until=until, of=seen.ran) / (unit.per_minute * (until - since) / 60)


@pytest.mark.parametrize(("per_minute", "least"), [(60, 0.55), pytest.param(300, 0.75, marks=pytest.mark.slow)])
async def test_calls_of_unequal_length_are_counted(store: Store, per_minute: int, least: float) -> None:
    unit, demand = Unequal(per_minute), 2.5 * per_minute / 60
    seen = await run(store, unit, seconds=600, demand=lambda at: demand, rng=random.Random(2))
    assert seen.requests_per_call() <= 1.05
    assert at_most(unit, seen, since=120, until=600) >= least


async def test_a_slow_pace_of_calls_that_last_is_not_raised_as_one_of_single_calls(store: Store) -> None:
    """Each that is under way may turn the next one away: a rate that was found from two at once is hardly too low."""
    unit, rng = Unequal(60), random.Random(15)
    seen = await run(store, unit, seconds=600, demand=lambda at: 2.5, rng=rng, waits_s=2)
    assert seen.requests_per_call() <= 1.07
    assert seen.rate(since=120, until=600, of=seen.ran) >= 0.7 * 480


@pytest.mark.slow
async def test_more_and_fewer_at_once_are_followed(store: Store) -> None:
    unit = Unequal(300)
    changes = {200.0: 900.0, 400.0: 180.0}
    seen = await run(store, unit, seconds=600, demand=lambda at: 30, rng=random.Random(3), changes=changes)
    assert seen.rate(since=360, until=400, of=seen.ran) >= 0.7 * 15 * 40
    assert seen.rate(since=500, until=600, of=seen.ran) >= 0.7 * 3 * 100
    assert seen.requests_per_call() <= 1.05


class Killed(Run):
    """Of its two workers the first ends in the middle: nothing of its calls under way is reported."""

    dies_s = 300.0

    async def report(self, worker: int, at: float, **more: Any) -> None:
        if worker or at < self.dies_s:
            await super().report(worker, at, **more)

    async def decided(self, worker: int, at: float) -> float:
        return await super().decided(worker if at < self.dies_s else 1, at)


async def test_calls_of_a_worker_that_was_killed_block_no_longer_than_their_lease(store: Store) -> None:
    unit = Unequal(300)
    made = Killed(store, unit, rng=random.Random(4), says=True, workers=2, waits_s=0)
    made.start(lambda at: 12.5)
    await made.until(600)
    seen, dies = made.seen, Killed.dies_s
    assert at_most(unit, seen, since=dies - 100, until=dies) >= 0.7
    assert at_most(unit, seen, since=dies + 6, until=dies + 100) >= 0.7


# The release before.


async def test_the_release_before_reads_the_count_as_a_window(store: Store, raw: redis.Redis) -> None:
    in_flight(raw, 2)
    await waits(store, 0)
    await ends(store, S, 0)
    stored: Any = raw.get(keys.pace(C))
    found = PREVIOUS.match(stored)
    assert found is not None
    assert (int(found[1]), found[3]) == (2, b""), "the call has ended"


async def test_a_pace_that_the_release_before_has_written_is_counted_again(store: Store, raw: redis.Redis) -> None:
    """That one knows no calls under way, and writes a pace without them."""
    in_flight(raw, 2)
    await waits(store, 0)
    raw.set(keys.pace(C), f"{S}|{S}|{T0}|0|0|{T0 // 1000 % 2**32:08x}", ex=600)
    await ends(store, S, 0)
    stored: Any = raw.get(keys.pace(C))
    found = PREVIOUS.match(stored)
    assert found is not None and int(found[1]) == 2
