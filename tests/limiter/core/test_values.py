"""Limits that count by a value of the call: each value like a limit of its own, and no more values than allowed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import redis

from limiter.core import description, keys, refusal, values
from limiter.core.giving_back import Charge, give_back
from limiter.core.store import EndedCall, Store
from limiter.core.types import CountedPer, Decision, Limit, Subject
from limiter.core.window import Call, Stack, bind
from tests.limiter.core.given import ACME, T0, S, bucket, call, counter, fill, log, slots, stack

KEY = bytes(32)
PER_CONTACT: dict[str, Any] = {"counted_by": "/contactId", "max_values": 100}
CONTACT = bucket(17, burst=250, window_us=60 * S, name="contact", counted_per=CountedPer.CONNECTION, **PER_CONTACT)
NO_VALUES: list[Any] = [None, [], {}]
KINDS = [
    log(5, name="contact", **PER_CONTACT),
    counter(5, name="contact", **PER_CONTACT),
    bucket(5, burst=4, name="contact", **PER_CONTACT),
    slots(3, name="contact", lease_us=7 * S, **PER_CONTACT),
]


def of(value: object, *limits: Limit, subject: Subject = ACME) -> Stack:
    """The limits, bound to a call with this value."""
    marks = [values.digest(value, key=KEY)] * sum(bool(limit.counted_by) for limit in limits)
    return bind(values.given(limits, marks), subject=subject)


def numbers(decision: Decision) -> list[object]:
    return [decision.allowed, decision.retry_after_us, *(state[1:] for state in decision.states)]


def same(*many: object) -> bool:
    return len({values.digest(each, key=KEY) for each in many}) == 1


def test_a_value_is_known_by_its_keyed_digest_however_a_number_is_written() -> None:
    assert same(7, 7.0, 70e-1, "7")
    assert not same("7", " 7")
    assert not same("ä", "a\u0308")
    assert not same("Case", "case")
    assert values.digest("7", key=KEY) != values.digest("7", key=b"x" * 32)


@pytest.mark.parametrize("value", [None, "", [], ["7"], {}, {"id": 7}])
def test_what_stands_for_no_single_thing_is_no_value(value: object) -> None:
    assert values.digest(value, key=KEY) == values.MISSING


@pytest.mark.parametrize("limit", KINDS, ids=lambda limit: limit.algorithm)
async def test_each_value_is_decided_like_a_limit_of_its_own(store: Store, limit: Limit) -> None:
    """Random calls of a few values, beside a plain limit for each, which the other tests compare with the oracle."""
    chance, at = random.Random(15), 0
    plain = replace(limit, name="plain", counted_by="", max_values=0)
    refused = 0
    for number in range(300):
        at += chance.randrange(0, 2 * S)
        who, cost, peek = chance.choice("abcd"), chance.choice((1, 1, 2, 4)), chance.random() < 0.1
        mine = await call(store, of(who, limit), at, cost=cost, lease=f"d{number}", peek=peek)
        beside = stack(plain, subject=replace(ACME, action=f"of-{who}"))
        other = await call(store, beside, at, cost=cost, lease=f"d{number}", peek=peek)
        assert numbers(mine) == numbers(other), number
        refused += not mine.allowed
    assert 20 < refused < 280


async def test_actions_with_other_payloads_share_the_count_of_a_value(store: Store) -> None:
    await fill(store, of(42, CONTACT), [0], cost=249)
    elsewhere = replace(CONTACT, counted_by="X-Contact-Id")
    globex = replace(ACME, tenant="globex", action="update")
    seen = await call(store, of("42", elsewhere, subject=globex), 1)
    assert (seen.allowed, seen.states[0].used) == (True, 250)
    assert not (await call(store, of(42, CONTACT), 2)).allowed
    assert (await call(store, of(43, CONTACT), 2)).allowed


async def test_nothing_of_a_call_that_another_limit_refuses_is_counted_nor_is_its_value(
    store: Store, raw: redis.Redis
) -> None:
    minute = log(1)
    await fill(store, of("a", CONTACT, minute), [0])
    assert not (await call(store, of("b", CONTACT, minute), 1)).allowed
    assert (await call(store, of("c", CONTACT, minute), 1, peek=True)).states[0].used == 0
    assert raw.zcard(keys.values(CONTACT, ACME)) == 1


async def test_values_above_the_bound_are_counted_together_and_one_that_is_known_goes_on(store: Store) -> None:
    few = log(3, name="contact", counted_by="/contactId", max_values=2)
    for who in "ab":
        await fill(store, of(who, few), [0])
    counted = [await call(store, of(who, few), 1, lease=who) for who in "cdefg"]
    assert [each.allowed for each in counted] == [True, True, True, False, False]
    assert [each.states[0].used for each in counted] == [1, 2, 3, 3, 3]
    assert {each.overflowed for each in counted} == {True}
    assert {each.states[0].limit.value for each in counted} == {values.OTHERS}
    known = await call(store, of("a", few), 2)
    assert (known.allowed, known.overflowed, known.states[0].used) == (True, False, 2)
    # The place of a value comes free when its count has run out, a second after its last unit at the latest.
    later = await call(store, of("c", few), 13 * S)
    assert (later.overflowed, later.states[0].used) == (False, 1)


async def test_a_caller_that_varies_the_value_makes_no_more_counts_than_allowed(store: Store, raw: redis.Redis) -> None:
    few = replace(CONTACT, max_values=10)
    for number in range(200):
        await call(store, of(f"made-up-{number}", few), number, lease=f"d{number}")
    assert raw.zcard(keys.values(few, ACME)) == 10
    assert len(raw.keys("*:w:contact:*")) == 10 + 1 + 1  # the values, the others together, and the register
    # No other tenant of the connection is concerned.
    globex = replace(ACME, tenant="globex")
    assert not (await call(store, of("of-globex", few, subject=globex), 300)).overflowed


async def test_every_key_of_a_value_has_an_end(store: Store, raw: redis.Redis) -> None:
    few = [replace(limit, name=limit.algorithm.replace("_", "-"), max_values=1) for limit in KINDS]
    for who in "ab":
        await store.decide(of(who, *few), Call(who))
    names = raw.keys("*:w:*")
    assert len(names) == 3 * len(KINDS)
    assert all(0 < raw.pttl(name) <= 120_000 for name in names)


async def test_calls_without_a_value_are_counted_together_and_need_no_place(store: Store) -> None:
    few = log(2, name="contact", counted_by="/contactId", max_values=1)
    await fill(store, of("a", few), [0])
    counted = [await call(store, of(value, few), 1, lease=f"{n}") for n, value in enumerate(NO_VALUES)]
    assert [each.allowed for each in counted] == [True, True, False]
    assert not any(each.overflowed for each in counted)


async def test_slots_and_units_of_values_above_the_bound_come_back(store: Store) -> None:
    few = [slots(1, name="inflight", counted_by="/c", max_values=1), log(1, name="m", counted_by="/c", max_values=1)]
    await fill(store, of("a", *few), [0])
    admitted = await call(store, of("b", *few), 1, lease="b")
    assert (admitted.allowed, admitted.overflowed) == (True, True)
    together = bind([state.limit for state in admitted.states], subject=ACME)
    assert not (await call(store, of("c", *few), 2, lease="c")).allowed
    await store.record(together, [EndedCall("b", "not_sent")], settings=None)
    assert await give_back(store, together, [Charge.of(admitted)], now_us=T0 + 3) == 1
    assert (await call(store, of("c", *few), 4, lease="c")).allowed


async def test_shares_appointments_and_values_stand_side_by_side(store: Store) -> None:
    held = bucket(1, burst=1, name="held", window_us=S, reserve_us=5 * S, counted_by="/c", max_values=1)
    other = bucket(100, burst=100, name="other", reserve_us=5 * S)
    decided: Counter[tuple[bool, bool]] = Counter()
    for number, who in enumerate("aabbb"):
        waiting = Call(f"d{number}", now_us=T0 + number, patience_us=0, client=f"{number:08x}" + 12 * "0")
        seen = await store.decide(of(who, held, other), waiting)
        decided[seen.allowed, seen.overflowed] += 1
    assert decided == {(True, False): 1, (False, False): 1, (True, True): 1, (False, True): 2}


async def test_an_event_names_the_digest_and_never_the_value(store: Store, raw: redis.Redis) -> None:
    one = log(1, name="contact", counted_by="/contact;Id|x", max_values=1)
    for at, who in enumerate(["0152-555", "0152-555", None, None, "0152-666", "0152-777"]):
        await call(store, of(who, one), at, lease=f"d{at}")
    entries: Any = raw.xrange(keys.events(1))
    texts = [fields[b"event"].decode() for _, fields in entries]
    (mine,), (without,), (above,) = (description.read(refusal.read(text).limits) for text in texts)
    assert mine.counted_by == "/contact;Id|x"
    assert mine.value == values.digest("0152-555", key=KEY)[: values.SHOWN]
    assert (without.value, above.value) == (values.MISSING, values.OTHERS)
    assert not any(b"0152" in name for name in raw.keys("*"))


async def test_refusals_of_one_second_are_one_kind_whatever_their_value(store: Store, raw: redis.Redis) -> None:
    one = log(1, name="contact", counted_by="/contactId", max_values=100)
    for number in range(30):
        for _ in range(2):
            await call(store, of(number, one), 0, lease=f"d{number}")
    assert raw.xlen(keys.events(1)) == 10
    kinds: Any = raw.hkeys(keys.floods(1))
    assert len([name for name in kinds if not name.endswith(b"|last")]) == 1
