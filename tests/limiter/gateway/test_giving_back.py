"""A call that certainly did not run costs its tenant nothing; one that may have run stays charged."""

from __future__ import annotations

import asyncio

import pytest

from limiter.core import keys
from limiter.models import QuotaPolicy
from limiter.stores.errors import StoreOutcomeUnknown as StoreOutcomeUnknown
from limiter.stores.errors import StoreUnavailable
from limiter.upstream import errors
from tests.limiter.gateway.conftest import Gateway
from tests.patience import eventually

pytestmark = pytest.mark.django_db(transaction=True)


async def used(gateway: Gateway, key: str) -> int:
    await gateway.runtime.gateway.giving_back.drain()
    peek = await gateway.caller.call("POST", "/check/lookupOrder", headers=[("X-API-Key", key)], query="peek=1")
    return int(peek.json["limits"][0]["used"])


def ran_before(error: errors.UpstreamError) -> errors.UpstreamError:
    error.may_have_run = True
    return error


@pytest.mark.parametrize(
    ("error", "charged"),
    [
        (errors.Unreachable("No connection."), 0),
        (errors.BreakerOpen("Nothing was sent."), 0),
        (errors.PayloadRefused("A value does not fit."), 0),
        (errors.NotConfigured("Somebody has to look."), 0),
        (errors.Disabled("Switched off."), 0),
        (errors.Overloaded("The upstream itself refused."), 0),
        (errors.OutcomeUnknown("No response in time.", timed_out=True), 1),
        (ran_before(errors.Unreachable("No connection, the second time.")), 1),
        (ran_before(errors.Overloaded("Refused, the second time.")), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_the_charge_of_a_call_is_given_back_unless_it_may_have_run(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, error: errors.UpstreamError, charged: int
) -> None:
    gateway.upstream.error = error
    assert (await gateway.invoke("lookupOrder", key=acme_key)).status == error.status
    assert await used(gateway, acme_key) == charged


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_a_call_that_the_upstream_answered_stays_charged(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, status: int
) -> None:
    gateway.upstream.status = status
    await gateway.invoke("lookupOrder", key=acme_key)
    assert await used(gateway, acme_key) == 1


async def test_a_check_stays_charged(gateway: Gateway, acme_key: str, base_policy: QuotaPolicy) -> None:
    await gateway.caller.call("POST", "/check/lookupOrder", headers=[("X-API-Key", acme_key)])
    assert await used(gateway, acme_key) == 1


async def test_a_tenant_whose_upstream_is_down_is_never_refused_for_it(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy
) -> None:
    gateway.upstream.error = errors.Unreachable("No connection.")
    for _ in range(3):
        responses = await asyncio.gather(*[gateway.invoke("lookupOrder", key=acme_key) for _ in range(60)])
        assert {response.status for response in responses} == {502}
        assert await used(gateway, acme_key) == 0


@pytest.mark.parametrize("done", [False, True], ids=["lost before the store", "lost after it"])
async def test_what_the_store_did_not_acknowledge_is_sent_again_and_done_once(
    gateway: Gateway, acme_key: str, base_policy: QuotaPolicy, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    store, sent = gateway.runtime.store, []
    run = store.run

    async def unacknowledged(script: object, *rest: object) -> object:
        if getattr(script, "name", "") != "give_back":
            return await run(script, *rest)  # type: ignore[arg-type]
        sent.append(script)
        if len(sent) == 1 and not done:
            raise StoreUnavailable("not sent")
        reply = await run(script, *rest)  # type: ignore[arg-type]
        if len(sent) == 1:
            raise StoreOutcomeUnknown("sent, and not heard")
        return reply

    monkeypatch.setattr(store, "run", unacknowledged)
    gateway.runtime.gateway.giving_back._again_s = 0.0
    assert (await gateway.invoke("lookupOrder", key=acme_key)).status == 200
    gateway.upstream.error = errors.Unreachable("No connection.")
    await gateway.invoke("lookupOrder", key=acme_key)
    assert (await used(gateway, acme_key), len(sent)) == (1, 2)

    async def counted() -> bool:
        await gateway.runtime.gateway.recorder.drain()
        totals = keys.totals(next(iter(gateway.runtime.gateway.connections_seen)))
        return bool(await store.command("HGET", totals, "acme|given_back", key=totals) == b"1")

    await eventually(counted, what="the usage")
