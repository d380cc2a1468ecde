"""The token bucket: an exact rate with a burst, and the units given back when the rate is edited."""

from __future__ import annotations

import redis

from limiter.core import keys
from limiter.core.store import Store
from tests.limiter.core.given import ACME, Row, S, bucket, call, fill, play, stack


async def test_a_burst_passes_at_once_and_then_one_per_interval(store: Store) -> None:
    await play(
        store,
        stack(bucket(10, burst=3)),  # one a second
        [
            Row(0, 1, True, 1, 0, 1 * S),
            Row(0, 1, True, 2, 0, 1 * S),
            Row(0, 1, True, 3, 0, 1 * S),
            Row(0, 1, False, 3, 1 * S, 1 * S),
            Row(1 * S - 1, 1, False, 3, 1, 1),
            Row(1 * S, 1, True, 3, 0, 1 * S),
            Row(1_500_000, 1, False, 3, 500_000, 500_000),
            Row(4 * S, 1, True, 1, 0, 1 * S),
            Row(100 * S, 3, True, 3, 0, 1 * S),
        ],
    )


async def test_a_rate_that_does_not_divide_the_window_is_exact_all_the_same(store: Store) -> None:
    # 3 units in 10 s, one every 3,333,333 1/3 us: instants are rounded up one by one and the rate never drifts.
    await play(
        store,
        stack(bucket(3, burst=2)),
        [
            Row(0, 2, True, 2, 0, 3_333_334),
            Row(3_333_333, 1, False, 2, 1, 1),
            Row(3_333_334, 1, True, 2, 0, 3_333_333),
            Row(6_666_666, 1, False, 2, 1, 1),
            Row(6_666_667, 1, True, 2, 0, 3_333_333),
            Row(9_999_999, 1, False, 2, 1, 1),
            Row(10_000_000, 1, True, 2, 0, 3_333_334),
        ],
    )


async def test_a_costly_call_waits_until_its_whole_cost_has_come_back(store: Store) -> None:
    await play(
        store,
        stack(bucket(10, burst=5)),
        [
            Row(0, 5, True, 5, 0, 1 * S),
            Row(0, 4, False, 5, 4 * S, 1 * S),
            Row(0, 5, False, 5, 5 * S, 1 * S),
            Row(0, 6, False, 5, -1, 1 * S),
            Row(4 * S - 1, 4, False, 2, 1, 1),
            Row(4 * S, 4, True, 5, 0, 1 * S),
        ],
    )


async def test_the_rate_in_force_prices_the_time_since_the_last_admitted_call(store: Store) -> None:
    await fill(store, stack(bucket(10, burst=10)), [0], cost=10)
    await play(
        store,
        stack(bucket(5, burst=4)),  # half the rate, and a burst below the count
        [
            Row(1 * S, 1, False, 10, 13 * S, 1 * S),
            Row(14 * S - 1, 1, False, 4, 1, 1),
            Row(14 * S, 1, True, 4, 0, 2 * S),
        ],
    )


async def test_a_multiplier_cuts_rate_and_burst(store: Store, raw: redis.Redis) -> None:
    adaptive = stack(bucket(10, burst=10), default_ppm=1_000_000)
    await fill(store, adaptive, [0], cost=10)
    raw.set(keys.multiplier(1, "acme", None), 500_000, ex=60)
    decision = await call(store, adaptive, 1 * S)
    assert (decision.states[0].effective, decision.retry_after_us) == (5, 11 * S)
    assert not (await call(store, adaptive, 12 * S - 1)).allowed
    assert (await call(store, adaptive, 12 * S)).allowed


async def test_a_limit_raised_admits_at_once(store: Store) -> None:
    await fill(store, stack(bucket(10, burst=2)), [0], cost=2)
    await play(store, stack(bucket(10, burst=4)), [Row(0, 2, True, 4, 0, 1 * S)])


async def test_an_edited_window_carries_the_units_over_a_part_of_one_as_one(store: Store) -> None:
    await fill(store, stack(bucket(10, burst=3)), [0], cost=3)
    await fill(store, stack(bucket(10, burst=3)), [1_500_000])  # 2.5 are counted after this one
    await play(
        store,
        stack(bucket(10, burst=3, window_us=70 * S)),
        [
            Row(1_500_000, 1, False, 3, 7 * S, 7 * S),
            Row(8_499_999, 1, False, 3, 1, 1),
            Row(8_500_000, 1, True, 3, 0, 7 * S),
        ],
    )


async def test_time_stands_still_when_the_clock_steps_back(store: Store) -> None:
    await play(
        store,
        stack(bucket(10, burst=2)),
        [
            Row(10 * S, 1, True, 1, 0, 1 * S),
            Row(4 * S, 1, True, 2, 0, 7 * S),
            Row(4 * S, 1, False, 2, 7 * S, 7 * S),
            Row(11 * S - 1, 1, False, 2, 1, 1),
            Row(11 * S, 1, True, 2, 0, 1 * S),
        ],
    )


async def test_the_largest_bucket_is_exact_to_the_microsecond(store: Store) -> None:
    # 9 x 10^15 unit-microseconds: a double still tells every one apart.
    largest = bucket(1_000_000_000, burst=3360, window_us=2_678_400 * S)
    await fill(store, stack(largest), [0, 0, 0], cost=1000)
    await play(
        store,
        stack(largest),
        [
            Row(0, 360, True, 3360, 0, 2679),
            Row(0, 1, False, 3360, 2679, 2679),
            Row(2678, 1, False, 3360, 1, 1),
            Row(2679, 1, True, 3360, 0, 2678),
        ],
    )


async def test_a_bucket_outlives_what_it_counts_when_the_refill_slows(store: Store, raw: redis.Redis) -> None:
    await fill(store, stack(bucket(10, burst=10)), [0], cost=10)
    key = keys.window(bucket(10, burst=10), ACME)
    assert 10_000 < raw.pttl(key) <= 11_000
    slower = bucket(1, burst=10)
    assert not (await call(store, stack(slower), 0)).allowed
    assert 100_000 < raw.pttl(key) <= 101_000


async def test_a_refused_call_and_a_peek_leave_the_bucket_as_it_was(store: Store, raw: redis.Redis) -> None:
    bound = stack(bucket(10, burst=2))
    await fill(store, bound, [0], cost=2)
    key = keys.window(bucket(10, burst=2), ACME)
    before = raw.get(key)
    for at in range(100):
        assert not (await call(store, bound, at)).allowed
    assert (await call(store, bound, 5 * S, peek=True)).allowed
    assert raw.get(key) == before
