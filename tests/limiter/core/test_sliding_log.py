"""The sliding log: never more than the limit in any window, no false refusal, a wait exact to the microsecond."""

from __future__ import annotations

import redis

from limiter.core import keys
from limiter.core.store import Store
from tests.limiter.core.given import ACME, Row, S, call, fill, log, play, stack


async def test_a_unit_is_counted_until_exactly_one_window_later(store: Store) -> None:
    await play(
        store,
        stack(log(3)),
        [
            Row(0, 1, True, 1, 0, 10 * S),
            Row(1, 1, True, 2, 0, 10 * S - 1),
            Row(5 * S, 1, True, 3, 0, 5 * S),
            Row(5 * S, 1, False, 3, 5 * S, 5 * S),
            Row(10 * S - 1, 1, False, 3, 1, 1),
            Row(10 * S, 1, True, 3, 0, 1),
            Row(10 * S, 1, False, 3, 1, 1),
            Row(10 * S + 1, 1, True, 3, 0, 5 * S - 1),
            Row(1000 * S, 1, True, 1, 0, 10 * S),
        ],
    )


async def test_a_costly_call_waits_for_as_many_units_as_it_lacks(store: Store) -> None:
    await play(
        store,
        stack(log(5)),
        [
            Row(0, 2, True, 2, 0, 10 * S),
            Row(1 * S, 2, True, 4, 0, 9 * S),
            Row(2 * S, 2, False, 4, 8 * S, 8 * S),
            Row(2 * S, 3, False, 4, 8 * S, 8 * S),
            Row(2 * S, 4, False, 4, 9 * S, 8 * S),
            Row(2 * S, 5, False, 4, 9 * S, 8 * S),
            Row(2 * S, 1, True, 5, 0, 8 * S),
            Row(11 * S, 4, True, 5, 0, 1 * S),
        ],
    )


async def test_a_cost_above_the_limit_can_never_pass(store: Store) -> None:
    await play(store, stack(log(5)), [Row(0, 5, True, 5, 0, 10 * S), Row(0, 6, False, 5, -1, 10 * S)])
    decision = await call(store, stack(log(5)), 0, cost=6)
    assert decision.retry_after_us is None


async def test_the_largest_cost_fits_one_call(store: Store) -> None:
    await play(
        store, stack(log(1500)), [Row(0, 1000, True, 1000, 0, 10 * S), Row(0, 1000, False, 1000, 10 * S, 10 * S)]
    )


async def test_a_limit_lowered_below_the_count_waits_for_the_entry_that_makes_room(store: Store) -> None:
    await fill(store, stack(log(5)), [0, 1 * S, 2 * S, 3 * S, 4 * S])
    await play(
        store,
        stack(log(2)),
        [
            Row(5 * S, 1, False, 5, 8 * S, 5 * S),
            Row(5 * S, 2, False, 5, 9 * S, 5 * S),
            Row(5 * S, 3, False, 5, -1, 5 * S),
            Row(13 * S - 1, 1, False, 2, 1, 1),
            Row(13 * S, 1, True, 2, 0, 1 * S),
        ],
    )


async def test_a_multiplier_lowers_the_limit_like_an_edit(store: Store, raw: redis.Redis) -> None:
    adaptive = stack(log(5), default_ppm=1_000_000)
    await fill(store, adaptive, [0, 1 * S, 2 * S, 3 * S, 4 * S])
    raw.set(keys.multiplier(1, "acme", None), 599_999, ex=60)
    decision = await call(store, adaptive, 5 * S)
    assert (decision.allowed, decision.multiplier_ppm, decision.states[0].effective) == (False, 599_999, 2)
    assert decision.retry_after_us == 8 * S
    assert (await call(store, adaptive, 13 * S)).allowed


async def test_a_limit_raised_admits_at_once(store: Store) -> None:
    await fill(store, stack(log(2)), [0, 0])
    await play(store, stack(log(4)), [Row(1, 2, True, 4, 0, 10 * S - 1), Row(1, 1, False, 4, 10 * S - 1, 10 * S - 1)])


async def test_a_shortened_window_counts_what_lies_in_it(store: Store) -> None:
    await fill(store, stack(log(5)), [0, 1 * S, 2 * S, 3 * S, 4 * S])
    await play(store, stack(log(2, window_us=2 * S)), [Row(5 * S, 1, True, 2, 0, 1 * S), Row(5 * S, 1, False, 2, S, S)])


async def test_a_lengthened_window_still_counts_what_the_old_one_did(store: Store, raw: redis.Redis) -> None:
    await fill(store, stack(log(2, window_us=2 * S)), [0, 1 * S])
    longer = log(2, window_us=3600 * S)
    await play(store, stack(longer), [Row(1 * S, 1, False, 2, 3599 * S, 3599 * S)])
    assert raw.pttl(keys.window(longer, ACME)) > 3_500_000, "the entries must outlive the window that counts them"


async def test_time_stands_still_when_the_clock_steps_back(store: Store) -> None:
    await play(
        store,
        stack(log(3)),
        [
            Row(10 * S, 1, True, 1, 0, 10 * S),
            Row(4 * S, 1, True, 2, 0, 16 * S),
            Row(5 * S, 1, True, 3, 0, 15 * S),
            Row(4 * S, 1, False, 3, 16 * S, 16 * S),
            Row(20 * S - 1, 1, False, 3, 1, 1),
            Row(20 * S, 3, True, 3, 0, 10 * S),
        ],
    )


async def test_a_refused_call_and_a_peek_leave_the_log_as_it_was(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(2))
    await fill(store, bound, [0, 1 * S])
    key = keys.window(log(2), ACME)
    before = raw.dump(key)
    for at in range(100):
        assert not (await call(store, bound, 2 * S + at)).allowed
    assert not (await call(store, bound, 3 * S, peek=True)).allowed
    assert raw.dump(key) == before
    assert raw.llen(key) == 2


async def test_a_peek_says_what_a_call_would_get_and_charges_nothing(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(2))
    for _ in range(3):
        seen = await call(store, bound, 0, cost=2, peek=True)
        assert (seen.allowed, seen.states[0].used, seen.leases) == (True, 0, ())
    assert raw.keys() == []


async def test_units_that_left_the_window_leave_the_memory(store: Store, raw: redis.Redis) -> None:
    await fill(store, stack(log(100)), list(range(100)))
    await fill(store, stack(log(100)), [10 * S + 49])
    assert raw.llen(keys.window(log(100), ACME)) == 51


async def test_a_log_costs_at_most_sixteen_bytes_an_admitted_unit_and_nothing_a_refused_one(
    store: Store, raw: redis.Redis
) -> None:
    limit = log(100_000, window_us=3600 * S)
    await fill(store, stack(limit), range(0, 10_000 * 997, 997), cost=10)
    key = keys.window(limit, ACME)
    assert raw.llen(key) == 100_000
    full = raw.memory_usage(key, samples=0)
    assert full is not None and full / 100_000 <= 16
    for at in range(100):
        assert not (await call(store, stack(limit), 20 * S + at)).allowed
    assert raw.memory_usage(key, samples=0) == full
