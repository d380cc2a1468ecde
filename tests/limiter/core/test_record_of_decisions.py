"""What a decision leaves behind: an event for a refusal, usage by the minute, totals, and a TTL on every key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import redis

from limiter.core import keys, refusal
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.refusal import Refusal
from limiter.core.store import EndedCall, Recorded, Store
from limiter.core.types import Limit
from limiter.core.window import Call
from tests.limiter.core.given import ACME, T0, S, bucket, call, counter, fill, log, slots, stack

GOLD: dict[str, Any] = {"policy_name": "Gold", "policy_version": 7}
MINUTE = T0 // (60 * S)


def events(raw: redis.Redis) -> list[Refusal]:
    entries = cast(list[tuple[bytes, dict[bytes, bytes]]], raw.xrange(keys.events(1)))
    assert all(list(fields) == [b"event"] for _, fields in entries)
    return [refusal.read(fields[b"event"].decode()) for _, fields in entries]


def counts(raw: redis.Redis, key: str) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in cast(dict[bytes, bytes], raw.hgetall(key)).items()}


async def test_a_refusal_leaves_an_event_that_says_why(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(1, **GOLD), counter(9, **GOLD), default_ppm=1_000_000)
    await fill(store, bound, [0])
    await store.decide(bound, Call("01J-decision", cost=1, context="k1prefix|req-7", now_us=T0 + 4 * S))
    assert events(raw) == [
        Refusal(
            at_us=T0 + 4 * S,
            folded=0,
            shadow=False,
            multiplier_ppm=1_000_000,
            cost=1,
            tenant="acme",
            action="lookupOrder",
            decision_id="01J-decision",
            key_prefix="k1prefix",
            request_id="req-7",
            states=(1, 1, 6 * S, 6 * S, 1, 9, 0, 57 * S),
            limits="minute|Gold|7|sliding_log|action|1|10000000|0|0|1"
            ";hour|Gold|7|sliding_counter|action|9|60000000|0|0|1",
        )
    ]


async def test_a_shadow_refusal_leaves_an_event_marked_as_such(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(1, shadow=True, **GOLD))
    await fill(store, bound, [0, 1 * S])
    (event,) = events(raw)
    assert (event.shadow, event.states) == (True, (1, 1, 9 * S, 9 * S))


async def test_a_call_that_enforced_and_shadow_limits_refuse_is_one_event_of_a_refusal(
    store: Store, raw: redis.Redis
) -> None:
    bound = stack(log(1), log(1, name="trial", shadow=True))
    await fill(store, bound, [0])
    await call(store, bound, 0)
    assert [event.shadow for event in events(raw)] == [False]


async def test_an_event_carries_the_cut_and_the_cost_that_can_never_pass(store: Store, raw: redis.Redis) -> None:
    raw.set(keys.multiplier(1, "acme", None), 250_000, ex=60)
    await call(store, stack(log(8), default_ppm=1_000_000), 0, cost=9)
    (event,) = events(raw)
    assert (event.multiplier_ppm, event.cost, event.states) == (250_000, 9, (0, 2, -1, 10 * S))


async def test_admitted_calls_and_peeks_leave_no_event(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(1))
    await fill(store, bound, [0])
    assert not (await call(store, bound, 0, peek=True)).allowed
    assert events(raw) == []


async def test_every_refusal_below_a_flood_has_an_event_of_its_own(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(1))
    await fill(store, bound, [0])
    for number in range(50):
        await call(store, bound, number // 10 * S, lease=f"d{number}")
    assert [event.decision_id for event in events(raw)] == [f"d{number}" for number in range(50)]


async def test_of_a_flood_ten_a_second_have_events_and_the_rest_are_counted_into_the_last(
    store: Store, raw: redis.Redis
) -> None:
    bound = stack(log(1, **GOLD))
    await fill(store, bound, [0])
    for number in range(25):
        await store.decide(bound, Call(f"d{number}", context=f"k1|r{number}", now_us=T0 + number))
    assert [event.decision_id for event in events(raw)] == [f"d{number}" for number in range(10)]
    kind = f"{T0 // S}|0|q:{{c1}}:w:minute:l:a:acme:lookupOrder|acme|lookupOrder|k1"
    floods = cast(dict[bytes, bytes], raw.hgetall(keys.floods(1)))
    assert set(floods) == {kind.encode(), f"{kind}|last".encode()} and floods[kind.encode()] == b"25"
    last = refusal.read(floods[f"{kind}|last".encode()].decode())
    assert (last.decision_id, last.request_id, last.at_us, last.folded) == ("d24", "r24", T0 + 24, 15)


async def test_floods_of_different_kinds_do_not_use_up_each_other_s_events(store: Store, raw: redis.Redis) -> None:
    tight, trial = stack(log(1)), stack(log(5), counter(1, shadow=True))
    await fill(store, tight, [0])
    for number in range(12):
        await store.decide(tight, Call(f"k1-{number}", context="k1|", now_us=T0))
        await store.decide(tight, Call(f"k2-{number}", context="k2|", now_us=T0))
    await fill(store, trial, [2 * S, 2 * S])
    kinds = {name.decode() for name in cast(list[bytes], raw.hkeys(keys.floods(1)))}
    now, later = f"{T0 // S}|0|q:{{c1}}:w:minute:l:a", f"{T0 // S + 2}|1|q:{{c1}}:w:hour:s60:a"
    who = "acme:lookupOrder|acme|lookupOrder"
    assert kinds == {
        f"{now}:{who}|k1",
        f"{now}:{who}|k1|last",
        f"{now}:{who}|k2",
        f"{now}:{who}|k2|last",
        f"{later}:{who}|",
    }
    assert len(events(raw)) == 21


async def test_usage_is_counted_by_minute_and_totals_for_good(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(5), log(2, name="trial", shadow=True))
    await fill(store, bound, [0, 0], cost=2)
    await call(store, bound, 0, cost=2)
    await call(store, bound, 60 * S, cost=1)
    await call(store, bound, 60 * S, peek=True)
    assert counts(raw, keys.usage(1)) == {
        f"{MINUTE}|acme|lookupOrder|allowed": 2,
        f"{MINUTE}|acme|lookupOrder|extra_cost": 2,
        f"{MINUTE}|acme|lookupOrder|shadow_refused": 1,
        f"{MINUTE}|acme|lookupOrder|refused": 1,
        f"{MINUTE + 1}|acme|lookupOrder|allowed": 1,
    }
    assert counts(raw, keys.totals(1)) == {
        "acme|allowed": 3,
        "acme|extra_cost": 2,
        "acme|shadow_refused": 1,
        "acme|refused": 1,
    }


async def test_actions_have_usage_of_their_own_and_their_tenant_s_total(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(5))
    other = stack(log(5), subject=replace(bound.subject, action="createCase"))
    await fill(store, bound, [0])
    await fill(store, other, [0])
    assert set(counts(raw, keys.usage(1))) == {
        f"{MINUTE}|acme|lookupOrder|allowed",
        f"{MINUTE}|acme|createCase|allowed",
    }
    assert counts(raw, keys.totals(1)) == {"acme|allowed": 2}


async def test_an_ended_call_counts_its_outcome_and_its_latency(store: Store, raw: redis.Redis) -> None:
    bound = stack(log(5))
    await store.record(bound, [EndedCall("d", "answered", latency_us=250_000)], settings=None, now_us=T0)
    await store.record(bound, [EndedCall("e", "unreachable")], settings=None, now_us=T0)
    line = f"{MINUTE}|acme|lookupOrder|"
    usage = counts(raw, keys.usage(1))
    assert (usage[line + "answered"], usage[line + "unreachable"], usage[line + "ms32"]) == (1, 1, 1)
    totals = counts(raw, keys.totals(1))
    assert (totals["acme|answered"], totals["acme|unreachable"], totals["acme|ms32"]) == (1, 1, 1)


async def test_no_ends_leave_nothing(store: Store, raw: redis.Redis) -> None:
    assert await store.record(stack(slots(5)), [], settings=AdaptiveSettings()) == Recorded()
    assert list(raw.scan_iter()) == []


async def test_every_key_has_a_time_to_live(store: Store, raw: redis.Redis) -> None:
    settings = AdaptiveSettings(min_samples=1)
    trial: Limit = counter(1, name="trial", shadow=True)
    bound = stack(log(3), counter(3), bucket(3, burst=3), slots(3), trial, default_ppm=1_000_000)
    for number in range(4):
        await call(store, bound, number, lease=f"d{number}", cost=1)
    await store.record(bound, [EndedCall("d1", "answered", latency_us=5_000_000)], settings=settings, now_us=T0)
    lives = {key: raw.ttl(key) for key in raw.scan_iter()}
    kinds = {key.decode().split(":")[2] for key in lives}
    assert {"w", "events", "usage", "totals", "m", "lat", "due", "changes"} <= kinds
    assert [key for key, ttl in lives.items() if ttl < 0] == []


@pytest.mark.parametrize(
    ("limit", "counts_for_ms"),
    [(log(3), 10_000), (counter(3), 61_000), (bucket(10, burst=3), 1_000), (slots(3), 30_000)],
    ids=lambda value: str(value.algorithm) if isinstance(value, Limit) else "",
)
async def test_a_count_outlives_what_it_counts_by_a_second_or_two(
    store: Store, raw: redis.Redis, limit: Limit, counts_for_ms: int
) -> None:
    await fill(store, stack(limit), [0])
    assert counts_for_ms < raw.pttl(keys.window(limit, ACME)) <= counts_for_ms + 2_000
