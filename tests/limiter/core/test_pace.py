"""The pace of an upstream that publishes no limit: held for everybody, learned from pushback, and followed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import redis

from limiter.core import keys
from limiter.core.pacing import learn
from limiter.core.pausing import pause
from limiter.core.refusal import read
from limiter.core.store import Store
from tests.limiter.core.given import ACME, T0, S, call, log, stack
from tests.limiter.core.hidden_unit import Bucket, Fixed, Hidden, InFlight, Seen, Sliding, run

C = ACME.connection
BOUND = stack(log(100))


def paced(raw: redis.Redis, *, interval_us: int, burst: int) -> None:
    raw.set(keys.pace(C), f"{interval_us}|{(burst - 1) * interval_us}|{T0}|kept", ex=600)


async def waits(store: Store, *at_us: int) -> list[int]:
    """The wait of each call; 0 when it is admitted."""
    return [(await call(store, BOUND, at, lease=f"d{at}")).paused_us for at in at_us]


# Holding.


async def test_calls_come_at_the_pace_and_wait_to_the_microsecond(store: Store, raw: redis.Redis) -> None:
    paced(raw, interval_us=2 * S, burst=2)
    assert await waits(store, 0, 1, 2, 2 * S - 1, 2 * S) == [0, 0, 2 * S - 2, 1, 0]
    assert await waits(store, 3 * S, 100 * S, 100 * S + 1, 100 * S + 2) == [S, 0, 0, 2 * S - 2]
    stored: Any = raw.get(keys.pace(C))
    assert stored.endswith(b"|kept") and 0 < raw.ttl(keys.pace(C)) <= 600


async def test_a_call_above_the_pace_is_charged_to_nothing_and_recorded_as_the_upstream_s_doing(
    store: Store, raw: redis.Redis
) -> None:
    paced(raw, interval_us=S, burst=1)
    decisions = [await call(store, BOUND, at, lease=f"d{at}") for at in (0, 1)]
    assert [(d.allowed, d.above_pace) for d in decisions] == [(True, False), (False, True)]
    assert [d.states[0].used for d in decisions] == [1, 1]
    entries: Any = raw.xrange(keys.events(C))
    ((_, fields),) = entries
    event = read(fields[b"event"].decode())
    assert event.limits.endswith(";(upstream)||0|token_bucket|connection|60|60000000|1|0|0")
    assert raw.hgetall(keys.totals(C)) == {b"acme|allowed": b"1", b"acme|held_back": b"1"}


async def test_a_look_and_a_call_that_its_limits_refuse_take_nothing_of_the_pace(
    store: Store, raw: redis.Redis
) -> None:
    paced(raw, interval_us=S, burst=1)
    narrow = stack(log(1))
    assert (await call(store, narrow, 0)).allowed
    assert not (await call(store, narrow, S, lease="refused")).above_pace
    assert (await call(store, BOUND, S, peek=True)).allowed
    assert await waits(store, S) == [0]


async def test_of_a_window_that_was_learned_a_call_waits_until_the_first_in_it_has_left(
    store: Store, raw: redis.Redis
) -> None:
    raw.set(keys.pace(C), f"{10 * S // 3}|{9 * S}|{T0}|3|10000|", ex=600)
    assert await waits(store, 0, S, 2 * S, 4 * S, 10 * S - 1, 10 * S) == [0, 0, 0, 6 * S, 1, 0]
    stored: Any = raw.get(keys.pace(C))
    assert len(stored.split(b"|")[-1]) == 4 * 8, "those that were let through"


async def test_between_calls_of_a_window_there_is_half_its_interval(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.pace(C), f"{S}|0|{T0}|10|10000|", ex=600)
    assert await waits(store, 0, 1, S // 2) == [0, S // 2 - 1, 0]


async def test_a_log_of_a_pace_is_bounded(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.pace(C), f"1000|0|{T0}|0|0|", ex=600)
    assert await waits(store, *range(0, 150_000, 1000)) == [0] * 150
    stored: Any = raw.get(keys.pace(C))
    assert len(stored.split(b"|")[-1]) == 100 * 8


async def test_a_pause_and_a_pace_are_waited_for_together(store: Store, raw: redis.Redis) -> None:
    paced(raw, interval_us=10 * S, burst=1)
    assert await waits(store, 0) == [0]
    await pause(store, C, status=429, said_us=4 * S, max_us=900 * S, now_us=T0)
    decision = await call(store, BOUND, S)
    assert (decision.paused_us, decision.above_pace) == (9 * S, False)
    assert await waits(store, 10 * S) == [0]


@pytest.mark.parametrize("value", ["nonsense", "=2=1000000|0|1", "1000000"])
async def test_a_pace_of_another_release_holds_nobody(store: Store, raw: redis.Redis, value: str) -> None:
    raw.set(keys.pace(C), value)
    assert await waits(store, 0, 1) == [0, 0]
    assert raw.get(keys.pace(C)) == value.encode()


# Learning.


async def report(
    store: Store, at_us: int, *, ran: int = 0, held: int = 0, away: int = 0, mode: str = "learn", **more: Any
) -> Any:
    reported = await learn(store, C, ran=ran, held=held, pushed_back=away, mode=mode, now_us=T0 + at_us, **more)
    return reported.per_minute


async def test_pushback_that_does_not_come_again_makes_no_pace(store: Store, raw: redis.Redis) -> None:
    assert await report(store, 0, ran=9, away=1) is None
    assert await report(store, 1, away=1) is None, "calls that were on their way at once count as one"
    assert await report(store, 100 * S, ran=1) is None, "nobody called for long"
    assert await report(store, 130 * S, ran=9, away=1) is None
    assert not raw.exists(keys.pace(C))


async def test_between_two_pushbacks_the_upstream_took_what_it_takes(store: Store, raw: redis.Redis) -> None:
    await report(store, 0, ran=50, away=1)
    await report(store, S, ran=20)
    assert await report(store, 20 * S, ran=20, away=1) == pytest.approx(0.985 * 120)
    stored: Any = raw.get(keys.pace(C))
    interval_us, tolerance_us, next_us, calls, _, _ = stored.split(b"|")
    found = tuple(map(int, (interval_us, tolerance_us, next_us, calls)))
    assert found == (interval := round(60 * S / (0.985 * 120)), interval, T0 + 20 * S, 0), "no window yet"


async def test_a_unit_that_turns_two_calls_at_once_away_gets_them_one_by_one(store: Store, raw: redis.Redis) -> None:
    await report(store, 0, ran=50, away=1)
    tolerances = []
    for at in (10, 20, 30, 40):
        await report(store, at * S, ran=20 if at == 10 else 3, away=1)
        stored: Any = raw.get(keys.pace(C))
        tolerances.append(int(stored.split(b"|")[1]) > 0)
    assert tolerances == [True, True, False, False]
    await report(store, 641 * S, ran=3, held=1)
    stored = raw.get(keys.pace(C))
    assert int(stored.split(b"|")[1]) > 0, "ten minutes later it is tried again"


def takes_a_window(raw: redis.Redis, calls: int) -> None:
    """As ``pace.lua`` notes it that so many calls go into a window."""
    raw.hset(keys.pace_evidence(C), mapping={"fit": calls, "gaps": "30002710" * calls})


def window(raw: redis.Redis) -> tuple[int, int]:
    """The calls of the window by which the pace lets calls through, and of the one that is known."""
    stored: Any = raw.get(keys.pace(C))
    known: Any = raw.hget(keys.pace_evidence(C), "fit")
    return int(stored.split(b"|")[3]), int(known)


async def test_two_pushbacks_with_few_calls_before_each_are_no_window_of_many(store: Store, raw: redis.Redis) -> None:
    for at in (0, 10, 20):
        await report(store, at * S, ran=20, away=1)
    takes_a_window(raw, 26)
    for at, ran, kept in ((30, 20, 26), (40, 3, 26), (50, 3, 0)):
        await report(store, at * S, ran=ran, away=1)
        assert window(raw) == (kept, kept)


async def test_a_pace_that_has_been_raised_to_twice_the_rate_found_keeps_no_window(
    store: Store, raw: redis.Redis
) -> None:
    """Calls would come twice as fast until it is full, and an upstream with a small burst would turn them away."""
    for at in (0, 10, 20):
        found = await report(store, at * S, ran=20, away=1)
    takes_a_window(raw, 26)
    pace, second = found, 60
    while pace < 1.99 * found / 0.985:
        assert window(raw)[1] == 26
        second += 1
        pace = await report(store, second * S, ran=2, held=1)
    await report(store, (second + 1) * S, ran=2, held=1)
    assert window(raw) == (0, 0)


async def falling(store: Store, raw: redis.Redis, *, noted: bytes | None = None) -> tuple[float, int]:
    """The pace after a second pushback far below it, and since when; with this in place of what the first one noted."""
    raw.flushall()
    await report(store, 0, ran=100, away=1)
    await report(store, 20 * S, ran=100, away=1)
    await report(store, 21 * S, ran=1)
    await report(store, 22 * S, ran=1, away=1)
    if noted is not None:
        raw.hset(keys.pace_evidence(C), "far", noted)
    await report(store, 23 * S, ran=1)
    pace = await report(store, 24 * S, ran=1, away=1)
    since: Any = raw.hget(keys.pace_evidence(C), "far")
    return pace, int(since) - T0


async def test_two_pushbacks_far_below_the_pace_show_that_it_takes_less(store: Store, raw: redis.Redis) -> None:
    pace, since_us = await falling(store, raw)
    assert pace == pytest.approx(0.985 * 60, rel=0.2)
    assert since_us == 20 * S


async def test_the_first_of_them_may_be_noted_by_the_release_before(store: Store, raw: redis.Redis) -> None:
    assert await falling(store, raw, noted=b"1") == await falling(store, raw)


async def test_a_pace_is_raised_only_while_it_holds_calls_back_and_no_pause_lasts(store: Store) -> None:
    await report(store, 0, ran=50, away=1)
    await report(store, 10 * S, ran=20)
    found = await report(store, 20 * S, ran=20, away=1)
    assert [await report(store, at * S, ran=5) for at in (25, 60)] == [found, found]
    assert await report(store, 61 * S, ran=1, held=1) == pytest.approx(found * math.exp(0.006), rel=0.01)
    await pause(store, C, status=429, said_us=60 * S, max_us=900 * S, now_us=T0 + 61 * S)
    raised = await report(store, 62 * S, ran=1)
    assert await report(store, 63 * S, held=5) == raised


async def test_a_unit_that_takes_nothing_for_long_has_its_pace_from_the_first_pushback_on(store: Store) -> None:
    await report(store, 0, ran=1)
    await report(store, 9 * S, ran=59, away=1)
    await pause(store, C, status=429, said_us=51 * S, max_us=900 * S, now_us=T0 + 9 * S)
    assert await report(store, 10 * S, ran=0, held=9) is None
    assert await report(store, 60 * S, ran=1) == pytest.approx(0.985 * 60, rel=0.02)


async def test_calls_that_end_after_the_next_pushback_ran_before_it(store: Store) -> None:
    await report(store, 0, ran=1, away=1)
    await pause(store, C, status=429, said_us=None, max_us=900 * S, now_us=T0)
    # A call is sent, and the one behind it is turned away before it has ended.
    assert await report(store, 3 * S, away=1) is None
    await pause(store, C, status=429, said_us=None, max_us=900 * S, now_us=T0 + 3 * S)
    assert await report(store, 4 * S, ran=1, ago_us=int(1.1 * S)) == pytest.approx(0.985 * 20, rel=0.01)
    assert await pause(store, C, status=429, said_us=None, max_us=900 * S, now_us=T0 + 10 * S) == 2 * S, "as the first"


async def test_calls_sent_before_a_pushback_are_not_taken_to_have_run_after_it(store: Store) -> None:
    await report(store, 0, ran=1, away=1)
    assert await report(store, 10 * S, ran=1, ago_us=11 * S) is None
    assert await report(store, 11 * S, away=1) is None, "nothing ran between"


async def test_a_window_that_frees_late_shows_what_it_takes_at_the_first_pushback(store: Store) -> None:
    for at in (0, 10, 20):
        pace = await report(store, at * S, ran=50, away=1)
    assert pace == pytest.approx(0.985 * 300)
    for second in range(60, 80):
        await report(store, second * S, ran=3)
    assert await report(store, 80 * S, away=1, said_us=40 * S) == pytest.approx(0.985 * 60, rel=0.06)


@pytest.mark.parametrize("said_s", [0, 1, 9, 61, 3600])
async def test_a_wait_that_is_no_minute_s_says_nothing_about_a_minute(store: Store, said_s: int) -> None:
    for at in (0, 10, 20):
        await report(store, at * S, ran=50, away=1)
    for second in (*range(21, 25), *range(70, 80)):
        await report(store, second * S, ran=10)
    assert await report(store, 80 * S, away=1, said_us=said_s * S) == await report(store, 80 * S)
    assert await report(store, 81 * S, away=1) > 100, "more than in the window of a minute"


@pytest.mark.parametrize(("each_second", "per_minute"), [(5, 56), (10, 178)], ids=["fixed", "may slide"])
async def test_a_window_that_took_fewer_than_one_that_slides_must_take_begins_with_the_clock(
    store: Store, each_second: int, per_minute: int
) -> None:
    for at in (0, 10, 20):
        await report(store, at * S, ran=100, away=1)
    for second in range(21, 81):
        await report(store, second * S, ran=10)
    await report(store, 81 * S, away=1)
    await pause(store, C, status=429, said_us=40 * S, max_us=900 * S, now_us=T0 + 81 * S)
    await report(store, 121 * S, ran=1)
    last = 122 + 55 // each_second
    for second in range(122, last):
        await report(store, second * S, ran=each_second)
    assert await report(store, last * S, away=1) == pytest.approx(0.985 * per_minute, rel=0.03)


async def test_calls_that_run_again_make_the_next_pause_a_short_one(store: Store) -> None:
    for at in (0, 2, 8):
        await pause(store, C, status=429, said_us=None, max_us=900 * S, now_us=T0 + at * S)
    assert await pause(store, C, status=429, said_us=None, max_us=900 * S, now_us=T0 + 26 * S) == 18 * S
    await report(store, 80 * S, ran=1)
    assert await pause(store, C, status=429, said_us=None, max_us=900 * S, now_us=T0 + 81 * S) == 2 * S


async def test_state_that_is_lost_in_the_middle_of_learning_starts_without_a_pace(
    store: Store, raw: redis.Redis
) -> None:
    await report(store, 0, ran=50, away=1)
    await report(store, 10 * S, ran=20, away=1)
    raw.flushdb()
    assert await report(store, 11 * S, ran=5, held=3) is None
    assert await waits(store, 11 * S, 11 * S + 1, 11 * S + 2) == [0, 0, 0]


async def test_a_pace_that_a_person_has_set_holds_and_one_that_is_switched_off_is_gone(
    store: Store, raw: redis.Redis
) -> None:
    await report(store, 0, ran=50, away=1)
    assert await report(store, S, ran=1, away=1, mode="30") == 30
    assert await waits(store, 2 * S, 2 * S + 1, 2 * S + 2) == [0, 0, 2 * S - 2]
    assert await report(store, 3 * S, ran=1, mode="") is None
    assert not raw.exists(keys.pace(C), keys.pace_evidence(C))


async def test_samples_to_learn_from_are_bounded_and_expire(store: Store, raw: redis.Redis) -> None:
    for second in range(300):
        await report(store, second * S, ran=1, held=1, away=second % 2)
    assert raw.hlen(keys.pace_evidence(C)) <= 128 + 25
    assert 0 < raw.ttl(keys.pace_evidence(C)) <= 600


# Hidden limits. The clock is virtual and chance is seeded, so that each run is the same.

FLAVOURS: dict[str, Callable[[float], Hidden]] = {
    "bucket": Bucket,
    "sliding window": Sliding,
    "fixed window": Fixed,
}


async def offered(store: Store, unit: Hidden, *, seed: int, says: bool = True, seconds: float = 600) -> Seen:
    """Two and a half times as many calls as it takes."""
    per_second = 2.5 * unit.per_minute / 60
    rng = random.Random(seed)
    return await run(store, unit, seconds=seconds, demand=lambda at: per_second, rng=rng, says=says)


def used(seen: Seen, per_minute: float, *, since: float, until: float) -> float:
    return seen.rate(since=since, until=until, of=seen.ran) / (per_minute * (until - since) / 60)


@pytest.mark.parametrize("says", [True, False], ids=["with Retry-After", "bare"])
@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_hidden_limit_is_used_and_hardly_exceeded(store: Store, flavour: str, says: bool) -> None:
    seen = await offered(store, FLAVOURS[flavour](60), seed=101, says=says)
    assert seen.requests_per_call() <= 1.05
    assert used(seen, 60, since=240, until=600) >= 0.95


async def test_a_unit_that_works_on_a_call_for_half_a_second_is_used_as_well(store: Store) -> None:
    """The calls under way at a pushback are not taken to be missing."""
    unit = Bucket(300, lasts_s=0.5)
    seen = await run(store, unit, seconds=240, demand=lambda at: 12.5, rng=random.Random(901), workers=4)
    assert used(seen, 300, since=60, until=240) >= 0.98


@pytest.mark.parametrize(
    ("unit", "least"),
    [
        pytest.param(Sliding(60, seconds=10), 0.91, id="ten in ten seconds"),
        pytest.param(Bucket(60, burst=1, level=1), 0.67, id="one after the other"),
    ],
)
async def test_a_window_shows_in_the_calls_that_are_turned_away(store: Store, unit: Hidden, least: float) -> None:
    """As many calls go into it as it takes, at any time: callers who leave make fewer gaps."""
    seen = await offered(store, unit, seed=2)
    assert seen.requests_per_call() <= 1.05
    assert used(seen, unit.per_minute, since=120, until=600) >= least


async def test_calls_that_wait_use_nearly_all_of_a_window_of_ten_seconds(store: Store) -> None:
    unit = Sliding(60, seconds=10)
    seen = await run(store, unit, seconds=600, demand=lambda at: 2.5, rng=random.Random(1), waits_s=2)
    assert seen.requests_per_call() <= 1.05
    assert used(seen, 60, since=120, until=600) >= 0.95


async def test_a_probe_of_a_long_window_is_taken_back_at_once(store: Store) -> None:
    """To the shortest window in which calls ran, not step by step from the one in which they were turned away."""
    seen = await run(
        store, Sliding(60), seconds=600, demand=lambda at: 2.5, rng=random.Random(1), says=False, waits_s=2
    )
    assert seen.requests_per_call(since=120) <= 1.04
    assert used(seen, 60, since=120, until=600) >= 0.95


async def test_a_unit_that_works_on_one_call_at_a_time_turns_few_away(store: Store) -> None:
    """The calls that end show how long one lasts, so that the pace need not fall step by step."""
    seen = await run(store, InFlight(60), seconds=300, demand=lambda at: 2.5, rng=random.Random(2))
    assert seen.requests_per_call() <= 1.06
    assert used(seen, 60, since=120, until=300) >= 0.66, "of 0.71 that callers who leave can use"


async def test_a_slow_pace_of_single_calls_is_not_taken_for_a_window(store: Store) -> None:
    """Its calls are late by themselves; in a window they would go on in pairs, of which the unit takes one."""
    unit = Bucket(60, burst=1, level=1)
    seen = await run(store, unit, seconds=420, demand=lambda at: 2.5, rng=random.Random(3), says=False, waits_s=2)
    assert seen.requests_per_call() <= 1.09
    assert used(seen, 60, since=120, until=420) >= 0.8


async def test_a_small_burst_is_not_taken_for_single_calls(store: Store) -> None:
    """Calls that came closer together than the one that was turned away have run."""
    seen = await offered(store, Bucket(300, burst=3, level=3), seed=301)
    assert seen.requests_per_call() <= 1.05
    assert used(seen, 300, since=120, until=600) >= 0.87, "of 0.71 that single calls can use"


async def test_single_calls_are_found_from_pairs_that_are_turned_away(store: Store) -> None:
    """However slow the pace is at which they come, which is no limit of the unit."""
    seen = await offered(store, Bucket(300, burst=1, level=1), seed=313)
    assert seen.requests_per_call() <= 1.05
    assert used(seen, 300, since=120, until=600) >= 0.58, "of 0.68 that a sender uses that knows the limit"


@pytest.mark.parametrize(
    ("unit", "times", "least"),
    [
        pytest.param(Bucket, 1.4, 0.97, id="bucket"),
        pytest.param(Bucket, 2.5, 0.97, id="bucket, more calls"),
        pytest.param(Sliding, 1.4, 0.95, id="minute"),
        pytest.param(Sliding, 2.5, 0.95, id="minute, more calls"),
        pytest.param(partial(Sliding, seconds=10), 1.4, 0.92, id="ten seconds"),
        pytest.param(InFlight, 2.5, 0.86, id="five in flight"),
    ],
)
async def test_callers_that_come_evenly_are_no_sign_of_single_calls(
    store: Store, raw: redis.Redis, unit: Callable[[float], Hidden], times: float, least: float
) -> None:
    """While the pace rises each call comes closer than those before, also the one that is turned away."""
    seen = await run(store, unit(300), seconds=300, demand=lambda at: times * 5, rng=random.Random(521), evenly=True)
    assert raw.hget(keys.pace_evidence(C), "even") == b"0"
    assert used(seen, 300, since=120, until=300) >= least
    assert seen.requests_per_call() <= 1.05


async def test_single_calls_are_found_though_callers_come_evenly(store: Store, raw: redis.Redis) -> None:
    """Of each two and a half that come one is sent, after three: no sender uses more than five sixths."""
    seen = await run(
        store, Bucket(300, burst=1, level=1), seconds=300, demand=lambda at: 12.5, rng=random.Random(521), evenly=True
    )
    assert raw.hget(keys.pace_evidence(C), "even") != b"0"
    assert used(seen, 300, since=120, until=300) >= 0.95 * 5 / 6
    assert seen.requests_per_call() <= 1.05


async def test_a_probe_of_a_window_leads_back_to_the_one_that_held_before(store: Store) -> None:
    """In the shortest window that is known a call was turned away, and the next one would be as well."""
    unit, rng = Sliding(60, seconds=10), random.Random(318)
    seen = await run(store, unit, seconds=600, demand=lambda at: 2.5, rng=rng, says=False, waits_s=2)
    assert seen.requests_per_call(since=120) <= 1.03
    assert used(seen, 60, since=120, until=600) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 205))
@pytest.mark.parametrize("says", [True, False], ids=["with Retry-After", "bare"])
@pytest.mark.parametrize("per_minute", [60, 300])
@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_hidden_limits_of_many_chances(
    store: Store, flavour: str, per_minute: float, says: bool, seed: int
) -> None:
    seen = await offered(store, FLAVOURS[flavour](per_minute), seed=seed, says=says, seconds=900)
    assert seen.requests_per_call() <= 1.05
    assert used(seen, per_minute, since=240, until=900) >= 0.91


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "flavour",
    [
        "bucket",
        pytest.param("calls in flight", marks=SLOW),
        pytest.param("sliding window", marks=SLOW),
        pytest.param("fixed window", marks=SLOW),
    ],
)
async def test_a_limit_that_changes_is_followed_within_two_minutes(store: Store, flavour: str) -> None:
    unit = InFlight(60) if flavour == "calls in flight" else FLAVOURS[flavour](60)
    changes = {120.0: 300.0, 300.0: 60.0}
    seen = await run(store, unit, seconds=420, demand=lambda at: 12, rng=random.Random(7), changes=changes)
    paces = {second: pace for at, pace in seen.paces for second in (int(at),)}
    assert max(pace for second, pace in paces.items() if 120 <= second < 240) >= 285
    assert min(pace for second, pace in paces.items() if 300 <= second < 420) <= 63
    assert used(seen, 60, since=360, until=420) <= 1.1
    assert seen.rate(since=300, until=360, of=seen.turned_away) <= 9
    assert seen.requests_per_call() <= 1.05


async def test_the_fall_of_a_small_bucket_is_found_from_all_pushbacks_since(store: Store) -> None:
    """Without a `Retry-After` each comes a second or two after the one before: few calls are missing between two."""
    unit, changes = Bucket(60, burst=3, level=3), {120.0: 300.0, 240.0: 60.0}
    seen = await run(
        store, unit, seconds=360, demand=lambda at: 12.5, rng=random.Random(318), says=False, changes=changes
    )
    assert min(pace for at, pace in seen.paces if 240 <= at < 270) <= 69
    assert used(seen, 60, since=270, until=360) <= 1.1
