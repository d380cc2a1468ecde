"""A repeat gets the first response; only what surely did not run is made again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio

from limiter.upstream.call import UpstreamCall, UpstreamResponse
from limiter.upstream.dedupe import GRACE_S, REPLAYED, Claim, Dedupe, NotRepeated
from limiter.upstream.errors import (
    BreakerOpen,
    NotConfigured,
    OutcomeUnknown,
    Overloaded,
    PayloadRefused,
    Unreachable,
    UpstreamError,
)
from limiter.upstream.exchange import ResponseStream
from tests.limiter.upstream.conftest import LOOKUP, HandClock, call_to, connection_to

CONNECTION = connection_to("http://127.0.0.1:8801", dedupe_ttl_s=120)
BY_BODY = connection_to("http://127.0.0.1:8801", dedupe=True)
ANSWER = UpstreamResponse(201, [("Content-Type", "application/json")], 1500, body=b'{"contactId": 1}\x00\xff')


@pytest.fixture
def dedupe(store: redis.asyncio.Redis, clock: HandClock) -> Dedupe:
    return Dedupe(store, clock=clock.as_clock())


def keyed(key: str = "k-1", **fields: object) -> UpstreamCall:
    return call_to(CONNECTION)._replace(idempotency_key=key, **fields)  # type: ignore[arg-type]


async def claimed(dedupe: Dedupe, call: UpstreamCall) -> Claim:
    claim = await dedupe.recall(call)
    assert isinstance(claim, Claim)
    return claim


async def test_a_repeat_gets_the_first_response(dedupe: Dedupe) -> None:
    await dedupe.remember(await claimed(dedupe, keyed()), ANSWER)

    again = await dedupe.recall(keyed())

    assert isinstance(again, UpstreamResponse)
    assert (again.status, again.body, again.latency_us) == (201, ANSWER.body, 1500)
    assert again.headers == [*ANSWER.headers, REPLAYED]


async def test_a_call_that_takes_no_part_is_not_looked_up(dedupe: Dedupe, store: redis.asyncio.Redis) -> None:
    assert not Dedupe.wants(call_to(CONNECTION))
    assert await dedupe.recall(call_to(CONNECTION)) is None
    assert await store.keys("*") == []


async def test_a_connection_can_recognise_repeats_by_their_body(dedupe: Dedupe) -> None:
    await dedupe.remember(await claimed(dedupe, call_to(BY_BODY, body=b'{"a":1}')), ANSWER)

    assert isinstance(await dedupe.recall(call_to(BY_BODY, body=b'{"a":1}')), UpstreamResponse)
    assert isinstance(await dedupe.recall(call_to(BY_BODY, body=b'{"a":2}')), Claim)
    assert isinstance(await dedupe.recall(call_to(BY_BODY, replace(LOOKUP, action_id="b"), body=b'{"a":1}')), Claim)


async def test_another_tenants_key_is_another_key(dedupe: Dedupe) -> None:
    await dedupe.remember(await claimed(dedupe, keyed()), ANSWER)
    assert isinstance(await dedupe.recall(keyed(tenant_id="globex")), Claim)


async def test_a_remembered_response_is_sealed_and_ends(dedupe: Dedupe, store: redis.asyncio.Redis) -> None:
    call = keyed()
    claim = await claimed(dedupe, call)
    assert 0 < await store.pttl(claim.key) <= (30 + GRACE_S) * 1000

    await dedupe.remember(claim, ANSWER)

    stored = await store.get(claim.key)
    assert isinstance(stored, bytes) and b"contactId" not in stored
    assert 0 < await store.pttl(claim.key) <= 120_000


@pytest.mark.parametrize("changed", [{"body": b"{}"}, {"action": replace(LOOKUP, action_id="another")}])
@pytest.mark.parametrize("ended", [True, False])
async def test_the_same_key_for_another_call_is_a_mistake(dedupe: Dedupe, changed: dict[str, Any], ended: bool) -> None:
    claim = await claimed(dedupe, keyed())
    if ended:
        await dedupe.remember(claim, ANSWER)

    held = await dedupe.recall(keyed()._replace(**changed))

    assert isinstance(held, NotRepeated) and held.status == 422


async def test_a_repeat_waits_for_the_first(dedupe: Dedupe) -> None:
    claim = await claimed(dedupe, keyed())
    repeats = [asyncio.ensure_future(dedupe.recall(keyed())) for _ in range(5)]
    await asyncio.sleep(0)

    await dedupe.remember(claim, ANSWER)

    for repeat in await asyncio.gather(*repeats):
        assert isinstance(repeat, UpstreamResponse) and repeat.status == 201


async def test_of_many_at_once_one_is_made(dedupe: Dedupe) -> None:
    found = await asyncio.gather(
        *(dedupe.recall(keyed()._replace(action=replace(LOOKUP, timeout_ms=10))) for _ in range(50))
    )

    assert sum(isinstance(one, Claim) for one in found) == 1
    assert {one.status for one in found if isinstance(one, NotRepeated)} == {409}


async def test_a_repeat_does_not_wait_longer_than_its_deadline(dedupe: Dedupe, clock: HandClock) -> None:
    await claimed(dedupe, keyed())

    held = await dedupe.recall(keyed())

    assert isinstance(held, NotRepeated) and (held.status, held.kind) == (409, "idempotency-pending")
    assert 30 <= clock.seconds < 31


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        Unreachable("x"),
        Overloaded("x"),
        BreakerOpen("x"),
        NotConfigured("x"),
        PayloadRefused("x"),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
async def test_a_call_that_did_not_run_is_made_again(dedupe: Dedupe, outcome: UpstreamError | None) -> None:
    await dedupe.remember(await claimed(dedupe, keyed()), outcome)
    assert isinstance(await dedupe.recall(keyed()), Claim)


@pytest.mark.parametrize(("timed_out", "status"), [(True, 504), (False, 502)])
async def test_a_call_that_may_have_run_is_not_made_again(dedupe: Dedupe, timed_out: bool, status: int) -> None:
    await dedupe.remember(await claimed(dedupe, keyed()), OutcomeUnknown("x", timed_out=timed_out))

    held = await dedupe.recall(keyed())

    assert isinstance(held, NotRepeated) and (held.status, held.kind) == (status, "upstream-outcome-unknown")


async def test_an_error_of_the_upstream_is_a_response_like_any_other(dedupe: Dedupe) -> None:
    await dedupe.remember(await claimed(dedupe, keyed()), UpstreamResponse(500, [], 1, body=b"", ok=False))

    again = await dedupe.recall(keyed())

    assert isinstance(again, UpstreamResponse) and (again.status, again.ok) == (500, False)


@pytest.mark.parametrize("body", [None, b"x" * 65_537])
async def test_a_long_response_is_not_kept_but_neither_is_the_call_made_again(
    dedupe: Dedupe, body: bytes | None
) -> None:
    long = UpstreamResponse(200, [], 1, body=body, chunks=None if body else object.__new__(Nothing))
    await dedupe.remember(await claimed(dedupe, keyed()), long)

    held = await dedupe.recall(keyed())

    assert isinstance(held, NotRepeated) and held.kind == "idempotency-too-long"


class Nothing(ResponseStream):
    """A stream that nobody reads."""

    def __del__(self) -> None:
        """It holds no connection."""


async def test_a_claim_that_ended_meanwhile_overwrites_nothing(dedupe: Dedupe, store: redis.asyncio.Redis) -> None:
    late = await claimed(dedupe, keyed())
    await store.delete(late.key)
    await dedupe.remember(await claimed(dedupe, keyed()), ANSWER)

    await dedupe.remember(late, UpstreamResponse(200, [], 1, body=b"late"))
    await dedupe.remember(late, None)

    again = await dedupe.recall(keyed())
    assert isinstance(again, UpstreamResponse) and again.status == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "ä", "a\0"], ids=repr)
async def test_a_key_that_is_no_key_is_refused(dedupe: Dedupe, key: str) -> None:
    held = await dedupe.recall(keyed(key))
    assert isinstance(held, NotRepeated) and held.status == 400


async def test_a_response_whose_seal_was_rotated_is_not_made_again(dedupe: Dedupe, store: redis.asyncio.Redis) -> None:
    claim = await claimed(dedupe, keyed())
    await dedupe.remember(claim, ANSWER)
    stored = await store.get(claim.key)
    assert isinstance(stored, bytes)
    await store.set(claim.key, stored[:33] + b"v1:another")

    assert isinstance(await dedupe.recall(keyed()), NotRepeated)


async def test_without_a_store_calls_go_on(clock: HandClock) -> None:
    away = redis.asyncio.Redis.from_url("redis://127.0.0.1:1/0")
    for dedupe in (Dedupe(away, clock=clock.as_clock()), Dedupe(None)):
        assert await dedupe.recall(keyed()) is None
        await dedupe.remember(Claim("k", "p" + "0" * 32, 1), ANSWER)
    await away.aclose()
