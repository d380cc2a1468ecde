"""A call that is repeated under one Idempotency-Key is made and charged once."""

from __future__ import annotations

import asyncio

import pytest

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.upstream import errors
from tenants.models import Tenant
from tests.asgi import Answered
from tests.limiter.gateway.conftest import Gateway

pytestmark = pytest.mark.django_db(transaction=True)


async def repeat(gateway: Gateway, key: str, *, name: str = "once", body: bytes = b"{}") -> Answered:
    return await gateway.invoke("lookupOrder", key=key, body=body, headers={"Idempotency-Key": name})


async def used(gateway: Gateway, key: str) -> int:
    peek = await gateway.caller.call("POST", "/check/lookupOrder", headers=[("X-API-Key", key)], query="peek=1")
    return int(peek.json["limits"][0]["used"])


async def test_a_repeat_gets_the_first_response_and_is_charged_once(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    gateway.upstream.body, gateway.upstream.status = b'{"order": 7}', 201
    first = await repeat(gateway, acme_key)
    again = await repeat(gateway, acme_key)
    assert (first.status, first.body) == (again.status, again.body) == (201, b'{"order": 7}')
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(gateway.upstream.calls) == 1
    assert await used(gateway, acme_key) == 1


async def test_repeats_at_the_same_time_are_one_call(gateway: Gateway, acme_key: str, base_policy: QuotaPolicy) -> None:
    responses = await asyncio.gather(*[repeat(gateway, acme_key) for _ in range(5)])
    assert {response.status for response in responses} == {200}
    assert len(gateway.upstream.calls) == 1


async def test_the_same_key_for_another_body_is_422(gateway: Gateway, acme_key: str, base_policy: QuotaPolicy) -> None:
    await repeat(gateway, acme_key)
    other = await repeat(gateway, acme_key, body=b'{"other": 1}')
    assert (other.status, other.json["type"]) == (422, "urn:quota-platform:problem:idempotency-mismatch")


async def test_a_call_whose_outcome_is_unknown_is_not_made_again(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    gateway.upstream.error = errors.OutcomeUnknown("Too slow.", timed_out=True)
    first = await repeat(gateway, acme_key)
    gateway.upstream.error = None
    again = await repeat(gateway, acme_key)
    assert (first.status, again.status) == (504, 504)
    assert len(gateway.upstream.calls) == 1


async def test_a_call_that_surely_did_not_run_is_made_by_its_repeat(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    gateway.upstream.error = errors.Unreachable("No connection.")
    first = await repeat(gateway, acme_key)
    gateway.upstream.error = None
    again = await repeat(gateway, acme_key)
    assert (first.status, again.status) == (502, 200)


@pytest.fixture
def one_per_minute(acme: Tenant) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="One")
    QuotaLimit.objects.create(policy=policy, name="minute", quota=1, window_seconds=60)
    Assignment.objects.create(policy=policy, target="tenant", tenant=acme)
    return policy


async def test_a_refusal_is_not_remembered(gateway: Gateway, acme_key: str, one_per_minute: QuotaPolicy) -> None:
    await repeat(gateway, acme_key, name="first")
    refusals = [await repeat(gateway, acme_key, name="second") for _ in range(2)]
    assert [response.status for response in refusals] == [429, 429]
    assert "idempotency-replayed" not in refusals[1].headers


async def test_the_stranger_gets_no_response_of_acmes(
    gateway: Gateway, acme_key: str, globex_key: str, base_policy: QuotaPolicy
) -> None:
    await repeat(gateway, acme_key)
    other = await gateway.invoke("createCase", key=globex_key, headers={"Idempotency-Key": "once"})
    assert (other.status, len(gateway.upstream.calls)) == (200, 2)
    assert "idempotency-replayed" not in other.headers
