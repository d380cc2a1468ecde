"""The budget of a connection's retries: a tenth of its calls, whichever worker draws on it."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from limiter.core import keys
from limiter.core.pausing import pause
from limiter.core.retrying import Turn, draw, turn
from limiter.core.store import Store
from tests.limiter.core.given import ACME, T0, S, call, log, stack

C = ACME.connection
BOUND = stack(log(100))


async def draws(store: Store, *calls: int) -> list[bool]:
    """Whether each retry is granted, after so many calls."""
    return [(await draw(store, C, calls=each, within_us=S, now_us=T0)).granted for each in calls]


async def test_ten_retries_are_saved_up_and_ten_calls_earn_one(store: Store) -> None:
    assert await draws(store, *[0] * 11) == [True] * 10 + [False]
    assert await draws(store, 9, 0, 1, 0) == [False, False, True, False]
    assert await draws(store, 100_000, *[0] * 10) == [True] * 10 + [False]


async def test_another_connection_has_a_budget_of_its_own(store: Store) -> None:
    await draws(store, *[0] * 10)
    assert (await draw(store, C + 1, calls=0, within_us=S, now_us=T0)).granted


@pytest.mark.parametrize("value", ["nonsense", "=2=7"])
async def test_a_budget_of_another_release_is_a_whole_one(store: Store, raw: redis.Redis, value: str) -> None:
    raw.set(keys.retries(C), value)
    assert await draws(store, *[0] * 11) == [True] * 10 + [False]


async def test_a_budget_that_nobody_draws_on_is_forgotten(store: Store, raw: redis.Redis) -> None:
    await draws(store, 0)
    assert 0 < raw.ttl(keys.retries(C)) <= 86_400


async def test_a_retry_that_would_come_too_late_draws_nothing(store: Store, raw: redis.Redis) -> None:
    await pause(store, C, status=429, said_us=4 * S, max_us=900 * S, now_us=T0)
    assert await draw(store, C, calls=0, within_us=4 * S, now_us=T0) == Turn(False, 4 * S)
    assert await draw(store, C, calls=0, within_us=5 * S, now_us=T0) == Turn(True, 4 * S)
    assert raw.get(keys.retries(C)) == b"90"


async def test_a_retry_has_no_turn_while_a_pause_lasts_that_began_meanwhile(store: Store) -> None:
    assert await draw(store, C, calls=0, within_us=60 * S, now_us=T0) == Turn(True, 0)
    await pause(store, C, status=429, said_us=4 * S, max_us=900 * S, now_us=T0 + S)
    assert await turn(store, C, within_us=60 * S, now_us=T0 + 2 * S) == Turn(False, 3 * S)
    assert await turn(store, C, within_us=60 * S, now_us=T0 + 5 * S) == Turn(True, 0)


async def test_a_retry_takes_its_place_in_the_pace(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.pace(C), f"{S}|0|{T0}|kept", ex=600)
    assert [await turn(store, C, within_us=2 * S, now_us=T0) for _ in range(3)] == [
        Turn(True, 0),
        Turn(True, S),
        Turn(False, 2 * S),
    ]
    assert (await call(store, BOUND, S)).paused_us == S, "two retries are before it"
    stored: Any = raw.get(keys.pace(C))
    assert stored == f"{S}|0|{T0 + 2 * S}|kept".encode() and 0 < raw.ttl(keys.pace(C)) <= 600
