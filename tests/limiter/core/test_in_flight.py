"""The learned limit in the store: one for all workers and tenants, kept by every decision, expiring with its state."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from limiter.core import in_flight, keys
from limiter.core.ends import LearningSettings
from limiter.core.learned import Mode, State
from limiter.core.shape import LimitsThen
from limiter.core.store import EndedCall, Store
from limiter.core.types import Decision, Subject
from limiter.core.window import Stack, bind
from tests.limiter.core.given import ACME, PATIENT, T0, S, call, log, store_at

SETTINGS = LearningSettings(max_in_flight=4, lease_us=30 * S)
LEARNED = in_flight.learned(SETTINGS)
GLOBEX = replace(ACME, tenant="globex", key="k2")


def stack(subject: Subject = ACME) -> Stack:
    return bind([log(100)], subject=subject, learned=LEARNED)


def learned(raw: redis.Redis, allowed: int, *, steps: int = 7) -> None:
    state = State(steps=steps, mode=Mode.FOLLOWING, limit=float(allowed))
    raw.set(keys.in_flight(1), in_flight.write(state, SETTINGS))


async def fill(store: Store, number: int) -> list[Decision]:
    return [await call(store, stack(), n, lease=f"f{n}") for n in range(number)]


async def heard(store: Store, *latencies_ms: int, at_us: int = 0, age_us: int = 0) -> State | None:
    ended = [EndedCall(f"f{n}", "answered", ms * 1000) for n, ms in enumerate(latencies_ms)]
    if ended:
        await store.record(stack(), ended, settings=None, now_us=T0 + at_us)
    return await in_flight.heard(store, 1, ended, SETTINGS, now_us=T0 + at_us)


async def test_while_nothing_is_learned_the_limit_is_whole(store: Store) -> None:
    decided = await fill(store, 5)
    assert [each.allowed for each in decided] == [True, True, True, True, False]
    refused = decided[-1].violated[0]
    assert (refused.limit.name, refused.used, refused.effective) == ("(in flight)", 4, 4)


async def test_every_tenant_s_decision_keeps_what_was_learned(store: Store, raw: redis.Redis) -> None:
    learned(raw, 2)
    decided = await fill(store, 2)
    other = await call(store, stack(GLOBEX), 2, lease="other")
    assert [*(each.allowed for each in decided), other.allowed] == [True, True, False]
    assert other.violated[0].effective == 2
    assert other.retry_after_us == 1_000_000, "a hint, as for every limit of calls in flight"


async def test_a_limit_below_what_is_in_flight_lets_nothing_start_until_enough_has_ended(
    store: Store, raw: redis.Redis
) -> None:
    await fill(store, 4)
    learned(raw, 2)
    for ended, passes in (("f0", False), ("f1", False), ("f2", True)):
        await store.record(stack(), [EndedCall(ended, "answered", 1000)], settings=None, now_us=T0)
        assert (await call(store, stack(), 10, lease=f"after {ended}")).allowed is passes


async def test_a_refusal_foresees_the_end_of_an_override_with_the_learned_limit_beside_it(store: Store) -> None:
    bound = bind([log(1)], subject=ACME, change=LimitsThen(T0 + 3 * S, (log(2),)), learned=LEARNED)
    assert (await call(store, bound, 0, lease="one")).allowed
    refused = await call(store, bound, 0, lease="two")
    assert refused.retry_after_us == 3 * S


@pytest.mark.parametrize("text", ["garbage", "", "0|1|{}", "=9=2|1|{}"])
async def test_a_value_that_is_not_understood_leaves_calls_a_way_through(
    store: Store, raw: redis.Redis, text: str
) -> None:
    raw.set(keys.in_flight(1), text)
    assert (await call(store, stack(), 0)).allowed
    state = await heard(store)
    assert state is not None and state.mode is Mode.WHOLE, "and it is learned anew"


async def test_a_step_is_due_every_half_second_for_all_workers(store: Store, redis_url: str) -> None:
    other = store_at(redis_url, PATIENT)
    await other.open()
    await fill(store, 2)
    assert await heard(store, 300) is not None
    assert await heard(other, 300, at_us=499_999) is None
    state = await heard(other, at_us=500_000)
    assert state is not None and state.steps == 2
    await other.close()


async def test_a_step_that_another_was_faster_than_changes_nothing(store: Store, raw: redis.Redis) -> None:
    learned(raw, 3, steps=7)
    for step, kept in ((6, 0), (7, 1)):
        value = in_flight.write(State(steps=8, mode=Mode.FOLLOWING, limit=2.0), SETTINGS)
        assert await store.run(in_flight.LEARNED, [keys.in_flight(1)], step, value, 1000) == kept


async def test_calls_that_nobody_ends_are_seen_by_their_age_and_freed_by_their_lease(
    store: Store, raw: redis.Redis
) -> None:
    await fill(store, 4)
    state = await heard(store, at_us=20 * S)
    assert state is not None and state.in_flight == 4
    assert state.p95_us == 20 * S - 0.15, "of ages, with numpy's interpolation"
    assert (await call(store, stack(), 31 * S, lease="later")).allowed


async def test_a_store_that_lost_it_all_begins_anew_in_the_middle_of_learning(store: Store, raw: redis.Redis) -> None:
    learned(raw, 2)
    raw.flushall()
    assert all(each.allowed for each in await fill(store, 4))
    state = await heard(store, 300)
    assert state is not None and (state.steps, state.mode) == (1, Mode.WHOLE)


async def test_a_learned_limit_ends_when_nobody_calls_any_more(store: Store, raw: redis.Redis) -> None:
    await heard(store, 300)
    for name in (keys.in_flight(1), keys.in_flight_ends(1), keys.in_flight_due(1)):
        assert 0 < raw.pttl(name) <= 900_000, name


async def test_a_value_is_read_as_it_was_written(store: Store, raw: redis.Redis) -> None:
    assert await in_flight.read(store, 1) is None
    state = State(steps=3, mode=Mode.RAISING, limit=4.5, before_us=1.5, next_trial_us=T0)
    raw.set(keys.in_flight(1), in_flight.write(state, SETTINGS))
    assert await in_flight.read(store, 1) == state
