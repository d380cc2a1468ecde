"""The sandbox watches its callers: every breach is counted, and refused on request."""

from __future__ import annotations

import asyncio

import pytest

from quota_platform.sandbox import Running
from tests.quota_platform.sandbox.conftest import Caller, Clock


def breaches(sandbox: Running) -> dict[str, int]:
    return {name: n for name, n in sandbox.state.conduct.breaches.items() if n}


async def test_a_careful_caller_breaks_nothing(signed_in: Caller) -> None:
    for _ in range(3):
        await signed_in.invoke()
    assert (await signed_in.control("GET", "conduct"))["ok"] is True


async def test_a_call_without_accept(signed_in: Caller, sandbox: Running) -> None:
    signed_in.headers = {}
    await signed_in.invoke()
    assert breaches(sandbox) == {"accept_absent": 1}


async def test_credentials_in_two_places_are_a_breach(caller: Caller, sandbox: Running) -> None:
    form = {"grant_type": "client_credentials", "client_secret": "x"}
    await caller.send("POST", "/oauth/token", data=form, headers={"Authorization": "Basic eDp5"})
    assert breaches(sandbox) == {"both_client_auths": 1}


async def test_a_token_asked_for_too_early(signed_in: Caller, sandbox: Running, clock: Clock) -> None:
    clock.now += 1799
    await signed_in.sign_in()
    assert breaches(sandbox) == {"early_token": 1}
    clock.now += 1801
    await signed_in.sign_in()
    assert breaches(sandbox) == {"early_token": 1}


async def test_a_new_token_after_a_revocation_is_no_breach(signed_in: Caller, sandbox: Running) -> None:
    sandbox.state.tokens.revoke()
    await signed_in.sign_in()
    assert breaches(sandbox) == {}


async def test_a_new_token_after_a_spoilt_response_is_no_breach(caller: Caller, sandbox: Running) -> None:
    sandbox.state.faults.add({"fault": "html", "where": "token", "count": 1})
    await caller.send(
        "POST",
        "/oauth/token",
        data={"grant_type": "client_credentials", "client_id": "app@vendor", "client_secret": "app-secret/+="},
    )
    await caller.sign_in()
    assert sandbox.state.counters.minted["app@vendor"] == 2
    assert breaches(sandbox) == {}


@pytest.mark.parametrize(
    ("waited", "other_call", "found"),
    [
        (1.0, False, {"sooner_same_call": 1, "sooner_same_unit": 1}),
        (1.0, True, {"sooner_same_unit": 1}),
        (2.0, False, {}),
    ],
)
async def test_a_call_before_its_retry_after(
    signed_in: Caller, sandbox: Running, clock: Clock, waited: float, other_call: bool, found: dict[str, int]
) -> None:
    sandbox.state.faults.add({"fault": "429", "headers": {"Retry-After": "2"}, "count": 1})
    await signed_in.invoke()
    clock.now += waited
    await signed_in.invoke("other" if other_call else "lookupOrder")
    assert breaches(sandbox) == found


async def test_a_repeat_of_a_call_that_may_have_run(signed_in: Caller, sandbox: Running) -> None:
    sandbox.state.faults.add({"fault": "stall", "count": 1})
    call = asyncio.create_task(signed_in.invoke(headers={"X-Request-Id": "r-1"}))
    await sandbox.state.log.reached(2)
    call.cancel()
    await sandbox.state.log.ended(2)
    await signed_in.invoke(headers={"X-Request-Id": "r-2"})
    assert breaches(sandbox) == {}
    await signed_in.invoke(headers={"X-Request-Id": "r-1"})
    assert breaches(sandbox) == {"repeated_after_unknown": 1}
    assert sandbox.state.counters.public()["duplicates"] == {"r-1": 2}


async def test_a_repeat_after_a_refusal_is_no_breach(signed_in: Caller, sandbox: Running) -> None:
    sandbox.state.faults.add({"fault": "503", "count": 1})
    assert [(await signed_in.invoke()).status for _ in range(2)] == [503, 200]
    assert breaches(sandbox) == {}


async def test_a_repeat_after_a_500_that_ran_is_one(signed_in: Caller, sandbox: Running) -> None:
    sandbox.state.faults.add({"fault": "500", "count": 1})
    assert [(await signed_in.invoke()).status for _ in range(2)] == [500, 200]
    assert breaches(sandbox) == {"repeated_after_unknown": 1}


async def test_a_breach_can_be_refused(signed_in: Caller, sandbox: Running) -> None:
    await signed_in.control("PUT", "conduct", {"refuse": ["accept_absent"]})
    signed_in.headers = {}
    reply = await signed_in.invoke()
    assert (reply.status, reply.json["error"]) == (400, "conduct")
    assert "accept_absent" in reply.json["errorDescription"]
    assert sandbox.state.counters.ran["lookupOrder"] == 0


async def test_only_known_breaches_can_be_refused(caller: Caller) -> None:
    reply = await caller.send("PUT", "/__sim__/conduct", json={"refuse": ["rudeness"]})
    assert (reply.status, reply.json["field"]) == (400, "refuse")
