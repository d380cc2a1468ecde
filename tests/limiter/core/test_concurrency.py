"""Concurrency: a slot per running call, freed when it ends or when its lease does."""

from __future__ import annotations

import redis

from limiter.core import keys
from limiter.core.store import EndedCall, Store
from tests.limiter.core.given import ACME, T0, S, call, slots, stack


async def test_a_slot_is_held_until_the_call_is_recorded_as_ended(store: Store) -> None:
    bound = stack(slots(2))
    first = await call(store, bound, 0, lease="one")
    await call(store, bound, 0, lease="two")
    assert first.leases == bound.slots
    refused = await call(store, bound, 0, lease="three")
    assert (refused.allowed, refused.leases, refused.states[0].used) == (False, (), 2)
    await store.record(bound, [EndedCall("one", "answered")], settings=None, now_us=T0)
    admitted = await call(store, bound, 0, lease="three")
    assert (admitted.allowed, admitted.states[0].used, admitted.states[0].remaining) == (True, 2, 0)


async def test_ending_twice_frees_one_slot(store: Store) -> None:
    bound = stack(slots(2))
    await call(store, bound, 0, lease="one")
    await call(store, bound, 0, lease="two")
    for _ in range(2):
        await store.record(bound, [EndedCall("one", "answered")], settings=None, now_us=T0)
    assert (await call(store, bound, 0, peek=True)).states[0].used == 1


async def test_a_lease_that_ends_frees_its_slot_to_the_microsecond(store: Store) -> None:
    bound = stack(slots(1, lease_us=2 * S))
    await call(store, bound, 0, lease="killed worker's")
    assert not (await call(store, bound, 2 * S - 1)).allowed
    assert (await call(store, bound, 2 * S)).allowed


async def test_the_wait_is_a_second_or_the_lease_that_ends_sooner(store: Store) -> None:
    bound = stack(slots(2, lease_us=10 * S))
    await call(store, bound, 0, lease="one")
    await call(store, bound, 4 * S, lease="two")
    assert (await call(store, bound, 5 * S)).retry_after_us == 1 * S
    assert (await call(store, bound, 9_200_000)).retry_after_us == 800_000


async def test_a_limit_lowered_below_the_count_waits_for_the_lease_that_makes_room(store: Store) -> None:
    for number in range(3):
        await call(store, stack(slots(3, lease_us=1 * S)), number * 100_000, lease=str(number))
    lowered = await call(store, stack(slots(1, lease_us=1 * S)), 500_000)
    assert (lowered.states[0].used, lowered.states[0].effective, lowered.retry_after_us) == (3, 1, 700_000)
    assert not (await call(store, stack(slots(1, lease_us=1 * S)), 1_199_999)).allowed
    assert (await call(store, stack(slots(1, lease_us=1 * S)), 1_200_000)).allowed


async def test_a_multiplier_never_takes_the_last_slot(store: Store, raw: redis.Redis) -> None:
    bound = stack(slots(3), default_ppm=1_000_000)
    raw.set(keys.multiplier(1, "acme", None), 200_000, ex=60)
    assert (await call(store, bound, 0, lease="one")).states[0].effective == 1
    assert not (await call(store, bound, 0, lease="two")).allowed


async def test_one_call_is_one_slot_whatever_it_costs(store: Store) -> None:
    bound = stack(slots(2))
    assert (await call(store, bound, 0, cost=1000, lease="dear")).states[0].used == 1


async def test_slots_are_kept_as_long_as_the_longest_lease(store: Store, raw: redis.Redis) -> None:
    await call(store, stack(slots(5, lease_us=60 * S)), 0, lease="long")
    await call(store, stack(slots(5, lease_us=1 * S)), 0, lease="short")
    assert raw.pttl(keys.window(slots(5), ACME)) > 59_000


async def test_a_refused_call_and_a_peek_hold_no_slot(store: Store, raw: redis.Redis) -> None:
    bound = stack(slots(1))
    await call(store, bound, 0, lease="one")
    for number in range(20):
        assert not (await call(store, bound, number, lease=f"refused {number}")).allowed
    await call(store, bound, 0, lease="peek", peek=True)
    assert raw.zrange(keys.window(slots(1), ACME), 0, -1) == [b"one"]
