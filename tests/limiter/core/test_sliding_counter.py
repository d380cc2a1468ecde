"""The sliding counter: never over the limit, early to refuse by at most one slice, a sixtieth of the window."""

from __future__ import annotations

import redis

from limiter.core import keys
from limiter.core.store import Store
from tests.limiter.core.given import ACME, T0, Row, S, call, counter, fill, play, stack

# A window of 60 s has slices of 1 s. A unit counted at t leaves with its slice: between t + 60 s and t + 61 s.


async def test_a_slice_is_counted_until_its_end_has_left_the_window(store: Store) -> None:
    await play(
        store,
        stack(counter(3)),
        [
            Row(0, 1, True, 1, 0, 61 * S),
            Row(1 * S - 1, 1, True, 2, 0, 60 * S + 1),
            Row(1 * S, 1, True, 3, 0, 60 * S),
            Row(1 * S, 1, False, 3, 60 * S, 60 * S),
            Row(61 * S - 1, 1, False, 3, 1, 1),
            Row(61 * S, 2, True, 3, 0, 1 * S),
            Row(62 * S - 1, 1, False, 3, 1, 1),
            Row(62 * S, 1, True, 3, 0, 60 * S),
            Row(5000 * S, 3, True, 3, 0, 61 * S),
        ],
    )


async def test_a_costly_call_waits_for_the_slices_that_make_room(store: Store) -> None:
    await play(
        store,
        stack(counter(5)),
        [
            Row(0, 2, True, 2, 0, 61 * S),
            Row(7 * S, 2, True, 4, 0, 54 * S),
            Row(8 * S, 3, False, 4, 53 * S, 53 * S),
            Row(8 * S, 4, False, 4, 60 * S, 53 * S),
            Row(8 * S, 6, False, 4, -1, 53 * S),
            Row(68 * S - 1, 4, False, 2, 1, 1),
            Row(68 * S, 4, True, 4, 0, 61 * S),
        ],
    )


async def test_a_limit_lowered_below_the_count_waits_for_the_slice_that_makes_room(store: Store) -> None:
    await fill(store, stack(counter(5)), [0, 1 * S, 2 * S, 3 * S, 4 * S])
    await play(
        store,
        stack(counter(2)),
        [
            Row(5 * S, 1, False, 5, 59 * S, 56 * S),
            Row(5 * S, 2, False, 5, 60 * S, 56 * S),
            Row(64 * S - 1, 1, False, 2, 1, 1),
            Row(64 * S, 1, True, 2, 0, 1 * S),
        ],
    )


async def test_a_multiplier_lowers_the_limit_like_an_edit(store: Store, raw: redis.Redis) -> None:
    adaptive = stack(counter(5), default_ppm=1_000_000)
    await fill(store, adaptive, [0, 1 * S, 2 * S, 3 * S, 4 * S])
    raw.set(keys.multiplier(1, "acme", None), 400_000, ex=60)
    decision = await call(store, adaptive, 5 * S)
    assert (decision.retry_after_us, decision.states[0].effective) == (59 * S, 2)


async def test_a_limit_raised_admits_at_once(store: Store) -> None:
    await fill(store, stack(counter(2)), [0, 0])
    await play(store, stack(counter(4)), [Row(1, 2, True, 4, 0, 61 * S - 1)])


async def test_an_edited_window_starts_a_count_of_its_own(store: Store) -> None:
    await fill(store, stack(counter(2)), [0, 0])
    await play(store, stack(counter(2, window_us=120 * S)), [Row(1, 1, True, 1, 0, 122 * S - 1)])


async def test_time_stands_still_when_the_clock_steps_back(store: Store) -> None:
    await play(
        store,
        stack(counter(3)),
        [
            Row(10 * S + 5, 1, True, 1, 0, 61 * S - 5),
            Row(4 * S, 1, True, 2, 0, 67 * S),
            Row(4 * S, 1, True, 3, 0, 67 * S),
            Row(4 * S, 1, False, 3, 67 * S, 67 * S),
            Row(71 * S - 1, 1, False, 3, 1, 1),
            Row(71 * S, 3, True, 3, 0, 61 * S),
        ],
    )


async def test_a_window_that_is_no_multiple_of_sixty_is_cut_into_slices_rounded_up(store: Store) -> None:
    seven = counter(1, window_us=7 * S)  # slices of 116,667 us
    start = -(T0 % 116_667)
    end = start + 116_667
    await play(
        store,
        stack(seven),
        [
            Row(end - 1, 1, True, 1, 0, 7 * S + 1),
            Row(end + 7 * S - 1, 1, False, 1, 1, 1),
            Row(end + 7 * S, 1, True, 1, 0, 7 * S + 116_667 - (7 * S) % 116_667),
        ],
    )


async def test_a_refused_call_and_a_peek_leave_the_slices_as_they_were(store: Store, raw: redis.Redis) -> None:
    bound = stack(counter(2))
    await fill(store, bound, [0, 1 * S])
    key = keys.window(counter(2), ACME)
    before = raw.hgetall(key)
    for at in range(100):
        assert not (await call(store, bound, 2 * S + at)).allowed
    assert not (await call(store, bound, 3 * S, peek=True)).allowed
    assert raw.hgetall(key) == before


async def test_memory_stays_the_same_whatever_the_limit(store: Store, raw: redis.Redis) -> None:
    limit = counter(1_000_000_000)
    await fill(store, stack(limit), [tenth * S // 10 for tenth in range(3 * 60 * 10)], cost=1000)
    held = raw.hgetall(keys.window(limit, ACME))
    assert len(held) <= 61 + 3
    assert int(held[b"n"]) == sum(int(units) for name, units in held.items() if name.isdigit()) == 61 * 10_000
