"""What a call that certainly did not run was charged is given back: once, and nothing that another call was charged."""

from __future__ import annotations

import asyncio

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from limiter.core import keys
from limiter.core.giving_back import Charge, give_back
from limiter.core.store import Store
from limiter.core.types import Decision, Limit
from limiter.core.window import Call, Stack
from tests.limiter.core.given import T0, S, bucket, call, counter, log, stack
from tests.limiter.core.walking import LIMITS, decided, walks

KINDS = [log(3), counter(3), bucket(3, burst=3)]


async def charged(store: Store, bound: Stack, at_us: int, *, lease: str, cost: int = 1) -> Decision:
    decision = await call(store, bound, at_us, lease=lease, cost=cost)
    assert decision.allowed
    return decision


async def returned(store: Store, bound: Stack, *decisions: Decision, at_us: int) -> int:
    return await give_back(store, bound, [Charge.of(d) for d in decisions], now_us=T0 + at_us)


async def used(store: Store, bound: Stack, at_us: int) -> list[int]:
    return [state.used for state in (await call(store, bound, at_us, peek=True)).states]


@pytest.mark.parametrize("limit", KINDS, ids=["log", "counter", "bucket"])
async def test_its_units_leave_every_limit_and_no_others(store: Store, limit: Limit) -> None:
    bound = stack(limit, log(9, name="other"))
    first = await charged(store, bound, 0, lease="d1", cost=2)
    await charged(store, bound, 0, lease="d2")
    assert await used(store, bound, 0) == [3, 3]
    assert await returned(store, bound, first, at_us=0) == 1
    assert await used(store, bound, 0) == [1, 1]


@pytest.mark.parametrize("limit", KINDS, ids=["log", "counter", "bucket"])
async def test_they_are_given_back_once_however_often_that_is_sent(store: Store, limit: Limit) -> None:
    bound = stack(limit)
    first = await charged(store, bound, 0, lease="d1")
    await charged(store, bound, 0, lease="d2")
    sent = [await returned(store, bound, first, first, at_us=n) for n in range(3)]
    assert sent == [1, 0, 0]
    assert await used(store, bound, 5) == [1]


async def test_a_thousand_senders_at_once_give_back_once(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(10))
    first = await charged(store, bound, 0, lease="d1", cost=3)
    await charged(store, bound, 0, lease="d2", cost=4)
    done = await asyncio.gather(*[returned(store, bound, first, at_us=1) for _ in range(1_000)])
    assert sum(done) == 1
    assert await used(store, bound, 1) == [4]
    assert raw.hget(keys.totals(1), "acme|given_back") == b"3"


async def test_what_a_shadow_limit_did_not_count_it_does_not_give_back(store: Store) -> None:
    bound = stack(log(9), log(1, name="shadow", shadow=True))
    await charged(store, bound, 0, lease="d1")
    over = await charged(store, bound, 1, lease="d2")
    await returned(store, bound, over, at_us=1)
    assert await used(store, bound, 1) == [1, 1]


async def test_a_bucket_gives_nothing_back_that_it_has_refilled_already(store: Store) -> None:
    bound = stack(bucket(10, burst=3, window_us=10 * S))
    first = await charged(store, bound, 0, lease="d1", cost=2)
    await charged(store, bound, 2 * S, lease="d2", cost=3)
    await returned(store, bound, first, at_us=2 * S)
    assert await used(store, bound, 2 * S) == [3]


@pytest.mark.parametrize("limit", KINDS, ids=["log", "counter", "bucket"])
async def test_a_count_that_is_gone_is_left_alone(store: Store, raw: redis.Redis, limit: Limit) -> None:
    bound = stack(limit)
    first = await charged(store, bound, 0, lease="d1")
    raw.delete(*bound.windows)
    assert await returned(store, bound, first, at_us=1) == 1
    assert not raw.exists(*bound.windows)


@given(
    limits=st.lists(LIMITS, min_size=1, max_size=3, unique_by=lambda limit: limit.name),
    calls=st.lists(st.tuples(st.integers(0, 2 * S), st.integers(1, 4), st.booleans()), min_size=5, max_size=30),
)
@walks
async def test_limits_are_as_if_the_call_had_never_been_made(
    store: Store, limits: list[Limit], calls: list[tuple[int, int, bool]]
) -> None:
    """A call that is given back at once leaves no trace, whatever the limits and whatever came before."""
    await store.command("FLUSHALL", key="")
    limits = [each for each in limits if each.algorithm != "concurrency"]
    bound, at = stack(*limits), T0
    for number, (after_us, cost, runs) in enumerate(calls):
        at += after_us
        before = await decided(store, bound, Call("p", charge=False, now_us=at))
        decision = await decided(store, bound, Call(f"d{number}", cost=cost, now_us=at))
        if decision.allowed and not runs:
            await give_back(store, bound, [Charge.of(decision)], now_us=at)
            after = await decided(store, bound, Call("p", charge=False, now_us=at))
            assert [s.used for s in after.states] == [s.used for s in before.states]
            assert (after.allowed, after.retry_after_us) == (before.allowed, before.retry_after_us)
