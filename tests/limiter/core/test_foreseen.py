"""The wait of a refused call ends no later than a change that is known to end: the multiplier's cut, an override."""

from __future__ import annotations

import pytest
import redis

from limiter.core import keys
from limiter.core.shape import LimitsThen
from limiter.core.store import Store
from limiter.core.types import PPM, Decision, Limit
from limiter.core.window import Call, Stack, bind
from tests.limiter.core.given import ACME, T0, S, bucket, call, counter, fill, log, slots, stack
from tests.patience import eventually

DAY = 86_400 * S
KEY = keys.multiplier(ACME.connection, ACME.tenant, None)
LIFE_MS = 300_000


async def cut(store: Store, ppm: int, *, life_ms: int = LIFE_MS) -> None:
    await store.command("SET", KEY, ppm, "PX", life_ms, key=KEY)


def adaptive(*limits: Limit) -> Stack:
    return stack(*limits, default_ppm=PPM)


@pytest.mark.parametrize(
    "limit",
    [
        log(200, window_us=DAY),
        counter(200, window_us=DAY),
        bucket(200, burst=200, window_us=DAY),
        slots(200, lease_us=DAY),
    ],
    ids=["log", "counter", "bucket", "slots"],
)
async def test_a_call_that_only_the_cut_refuses_waits_for_its_end(store: Store, raw: redis.Redis, limit: Limit) -> None:
    bound = adaptive(limit)
    for number in range(64):
        assert (await call(store, bound, 0, lease=f"d{number}")).allowed
    await cut(store, 200_000, life_ms=500)
    refused = await call(store, bound, 1)
    left_ms = raw.pttl(KEY)
    assert not refused.allowed and refused.retry_after_us is not None
    assert left_ms * 1_000 <= refused.retry_after_us <= 501_000


async def test_the_wait_is_kept_to_the_instant_at_which_the_cut_ends(store: Store) -> None:
    """By the store's own clock: refused until just before the promised instant, and admitted from it on."""
    bound = adaptive(log(200, window_us=DAY))
    for number in range(64):
        assert (await store.decide(bound, Call(f"d{number}"))).allowed
    await cut(store, 200_000, life_ms=150)
    seen: list[Decision] = []

    async def passes() -> bool:
        seen.append(await store.decide(bound, Call("again", charge=False)))
        return seen[-1].allowed

    await eventually(passes, what="the end of the cut")
    promised = {d.at_us + d.retry_after_us for d in seen[:-1] if d.retry_after_us}
    if promised:  # on a slow machine the cut may be over before the first look
        assert len(promised) == 1
        assert all(d.at_us < min(promised) for d in seen[:-1]) and min(promised) <= seen[-1].at_us


async def test_a_call_that_is_refused_without_the_cut_too_waits_for_its_window(store: Store) -> None:
    bound = adaptive(log(2, window_us=DAY))
    await fill(store, bound, [0, 1])
    await cut(store, 500_000)
    assert (await call(store, bound, 2)).retry_after_us == DAY - 2


async def test_a_window_that_is_free_before_the_cut_ends_is_not_waited_longer_for(store: Store) -> None:
    bound = adaptive(log(4, window_us=10 * S))
    await fill(store, bound, [0, S])
    await cut(store, 500_000)
    assert (await call(store, bound, 2 * S)).retry_after_us == 8 * S


async def test_a_cost_above_the_limit_under_the_cut_passes_after_it(store: Store) -> None:
    await cut(store, 100_000)
    refused = await call(store, adaptive(log(100)), 0, cost=50)
    assert refused.retry_after_us is not None and 0 < refused.retry_after_us <= (LIFE_MS + 1) * 1_000


async def test_a_limit_that_does_not_adapt_keeps_the_call_waiting_beyond_the_cut(store: Store) -> None:
    bound = adaptive(log(100, name="a"), log(1, name="b", window_us=DAY, adaptive=False))
    await fill(store, bound, [0])
    await cut(store, 10_000)
    assert (await call(store, bound, 1)).retry_after_us == DAY - 1


async def test_the_end_of_an_override_that_lowers_a_limit_is_waited_for(store: Store) -> None:
    bound = changing(log(2, window_us=DAY), log(100, window_us=DAY), in_us=60 * S)
    await fill(store, bound, [0, 1])
    assert (await call(store, bound, S)).retry_after_us == 59 * S


async def test_the_end_of_an_override_that_raises_a_limit_is_foreseen_too(store: Store) -> None:
    """Ten are counted: under the raised limit one place is free in 10 s, but by then only one call at a time may be."""
    bound = changing(log(10), log(1), in_us=5 * S)
    await fill(store, bound, [n * 100_000 for n in range(10)])
    assert (await call(store, bound, S)).retry_after_us == 9_900_000


async def test_what_an_override_only_recorded_and_refuses_after_it_counts(store: Store) -> None:
    bound = changing(
        *(log(1, window_us=3 * S, name="a"), log(1, window_us=3 * S, name="a")),
        *(log(1, window_us=DAY, name="b", shadow=True), log(1, window_us=DAY, name="b")),
        in_us=2 * S,
    )
    await fill(store, bound, [0])
    assert (await call(store, bound, 1)).retry_after_us == DAY - 1


def changing(*limits: Limit, in_us: int) -> Stack:
    """Limits now and then, in turn."""
    return bind(limits[::2], subject=ACME, change=LimitsThen(T0 + in_us, limits[1::2]))
