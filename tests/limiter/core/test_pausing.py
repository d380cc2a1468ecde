"""An upstream's response about load binds every worker's next decision: at once, for its whole time, and free."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from limiter.core import keys
from limiter.core.pausing import FORM, pause, pause_or_none
from limiter.core.refusal import read
from limiter.core.store import Store
from limiter.core.window import Stack
from tests.limiter.core.given import ACME, T0, S, call, log, slots, stack

C = ACME.connection
BOUND = stack(log(2), slots(1))


async def paused(store: Store, at_us: int, *, said_us: int | None = 30 * S, status: int = 429) -> int:
    return await pause(store, C, status=status, said_us=said_us, max_us=900 * S, now_us=T0 + at_us)


async def held(store: Store, at_us: int, *, bound: Stack = BOUND) -> int:
    """How long a call is held back; 0 when it is admitted."""
    decision = await call(store, bound, at_us, lease=f"d{at_us}")
    assert decision.allowed == (decision.paused_us == 0)
    return decision.paused_us


def text_of(value: Any) -> str:
    return str(value.decode())


async def test_a_call_is_held_back_until_the_upstream_takes_calls_again(store: Store) -> None:
    await paused(store, 0)
    seen = [await call(store, BOUND, at, lease=f"d{at}") for at in (S, 30 * S - 1, 30 * S)]
    assert [(d.allowed, d.retry_after_us) for d in seen] == [
        *((False, 29 * S), (False, 1)),
        (True, 0),
    ]


async def test_it_is_charged_to_no_limit_and_holds_no_slot(store: Store) -> None:
    await paused(store, 0)
    decision = await call(store, BOUND, S)
    assert [state.used for state in decision.states] == [0, 0] and decision.leases == ()
    peek = await call(store, BOUND, 30 * S, peek=True)
    assert [state.used for state in peek.states] == [0, 0]


async def test_a_call_that_its_limits_refuse_is_refused_by_them(store: Store) -> None:
    bound = stack(log(1, window_us=60 * S))
    assert (await call(store, bound, 0)).allowed
    await paused(store, 0)
    decision = await call(store, bound, S)
    assert (decision.paused_us, decision.retry_after_us) == (0, 59 * S)


async def test_a_look_is_not_held_back(store: Store) -> None:
    await paused(store, 0)
    assert (await call(store, BOUND, S, peek=True)).allowed


@pytest.mark.parametrize("default_ppm", [None, 1_000_000], ids=["fixed", "adaptive"])
async def test_it_binds_every_tenant_of_the_connection_and_no_other_connection(
    store: Store, default_ppm: int | None
) -> None:
    await paused(store, 0)
    other_tenant = ACME.__class__(C, "globex", "x", "k9")
    elsewhere = ACME.__class__(2, "acme", "lookupOrder", "k1")
    found = [
        await held(store, S, bound=stack(log(2), subject=s, default_ppm=default_ppm)) for s in (other_tenant, elsewhere)
    ]
    assert found == [29 * S, 0]


async def test_it_is_recorded_as_the_upstream_s_doing(store: Store, raw: redis.Redis) -> None:
    await paused(store, 0)
    await call(store, BOUND, S)
    entries: Any = raw.xrange(keys.events(C))
    ((_, fields),) = entries
    event = read(text_of(fields[b"event"]))
    assert not event.shadow and event.limits.endswith(";(upstream)||0|token_bucket|connection|1|1000000|1|0|0")
    assert event.states[-4:] == (1, 1, 29 * S, 29 * S)
    assert raw.hgetall(keys.totals(C)) == {b"acme|held_back": b"1"}


async def test_a_flood_of_them_is_folded_like_any_other(store: Store, raw: redis.Redis) -> None:
    await paused(store, 0)
    for number in range(30):
        await call(store, BOUND, S + number)
    assert raw.xlen(keys.events(C)) == 10
    assert raw.hget(keys.totals(C), "acme|held_back") == b"30"


async def test_tenants_without_limits_are_held_back_too(store: Store, raw: redis.Redis) -> None:
    await paused(store, 0)
    assert await held(store, S, bound=stack()) == 29 * S
    assert raw.xlen(keys.events(C)) == 1


async def test_a_pause_is_never_shortened_by_a_later_word(store: Store) -> None:
    await paused(store, 0, said_us=30 * S)
    assert await paused(store, 0, said_us=0) == 30 * S
    assert await paused(store, S, said_us=60 * S) == 60 * S


async def test_an_upstream_that_asks_for_more_than_is_reasonable_is_asked_again(store: Store) -> None:
    assert await paused(store, 0, said_us=86_400 * S) == 900 * S


@pytest.mark.parametrize("said_us", [None, 0], ids=["silent", "at once"])
async def test_an_upstream_that_does_not_say_when_is_left_alone_longer_each_time(
    store: Store, said_us: int | None
) -> None:
    at, waits = 0, []
    for _ in range(6):
        waits.append(await paused(store, at, said_us=said_us) // S)
        assert await paused(store, at + 1, said_us=said_us) == waits[-1] * S - 1, (
            "calls that were on their way count as one"
        )
        at += waits[-1] * S
    assert waits == [2, 6, 18, 18, 18, 54]


async def test_under_a_pace_the_first_pause_is_as_short_as_two_of_its_calls(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.pace(C), f"{S // 2}|{S // 2}|{T0}")
    assert await paused(store, 0, said_us=None) == S
    raw.set(keys.pace(C), f"{S // 100}|{S // 2}|{T0}")
    raw.delete(keys.pause(C))
    assert await paused(store, 0, said_us=None) == S // 2
    raw.set(keys.pace(C), f"{60 * S}|{S // 2}|{T0}")
    raw.delete(keys.pause(C))
    assert await paused(store, 0, said_us=None) == 2 * S


async def test_pauses_that_begin_short_stay_below_18_seconds_until_a_minute_has_passed(
    store: Store, raw: redis.Redis
) -> None:
    raw.set(keys.pace(C), f"{S // 4}|{S // 4}|{T0}")
    at, waits = 0, []
    for _ in range(9):
        waits.append(await paused(store, at, said_us=None))
        at += waits[-1]
    assert [wait / S for wait in waits] == [0.5, 1.5, 4.5, 13.5, 18, 18, 18, 54, 54]


async def test_after_a_pause_one_call_finds_out_before_the_pace_goes_on(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.pace(C), f"{S}|{3 * S}|{T0}|kept", ex=600)
    await paused(store, 0, said_us=10 * S)
    bound = stack(log(100))
    seen = [(await call(store, bound, at, lease=f"d{at}")).paused_us for at in (10 * S, 10 * S + 1, 11 * S)]
    assert seen == [0, S - 1, 0]
    stored: Any = raw.get(keys.pace(C))
    assert stored.endswith(b"|kept") and 0 < raw.ttl(keys.pace(C)) <= 600


async def test_people_can_see_since_when_and_by_what(store: Store, raw: redis.Redis) -> None:
    await paused(store, 0, said_us=30 * S, status=503)
    await paused(store, 10 * S, said_us=30 * S, status=429)
    assert FORM.text(text_of(raw.get(keys.pause(C)))) == (T0 + 40 * S, 429, T0, 30 * S)
    await paused(store, 11 * S, said_us=None)
    assert FORM.text(text_of(raw.get(keys.pause(C)))) == (T0 + 40 * S, 429, T0, None)


async def test_a_pause_can_be_seen_while_it_lasts(store: Store, raw: redis.Redis) -> None:
    await paused(store, 0)
    stored: Any = raw.get(keys.pause(C))
    assert pause_or_none(stored, now_us=T0 + 30 * S - 1) == (T0 + 30 * S, 429, T0, 30 * S)
    assert pause_or_none(stored, now_us=T0 + 30 * S) is None
    assert pause_or_none(b"nonsense", now_us=T0) is None
    assert pause_or_none(None, now_us=T0) is None


def test_a_pause_of_the_first_release_that_wrote_one_is_read() -> None:
    assert FORM.text("9|503|5|1") == (9, 503, 5, None)


async def test_what_another_release_wrote_there_holds_nobody_back_for_good(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.pause(C), "nonsense")
    assert await held(store, 0) == 0
