"""Faults: the effect of each on a response, and when a rule applies."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import json
from typing import Any

import aiohttp
import pytest

from quota_platform.sandbox import ControlError, Running
from quota_platform.sandbox.damage import HARM
from quota_platform.sandbox.faults import KINDS, RUNS, TOKEN_ONLY
from tests.quota_platform.sandbox.conftest import CLIENT, Caller, Clock

START = "/inContactAPI/services/v30.0/scripts/start?skillId=1&scriptPath=p"


@pytest.fixture
async def caller(signed_in: Caller) -> Caller:
    return signed_in


async def test_every_fault_is_either_a_status_or_a_harm() -> None:
    assert {name for name in KINDS if not name.isdigit()} - set(HARM) == {"status", "redirect"}
    assert set(HARM) <= set(KINDS)


@pytest.mark.parametrize("status", ["401", "403", "404", "429", "500", "502", "503", "504"])
async def test_a_status_is_answered_as_often_as_it_was_asked_for(caller: Caller, status: str) -> None:
    await caller.control("POST", "faults", {"fault": status, "count": 2})
    assert [(await caller.invoke()).status for _ in range(3)] == [int(status), int(status), 200]


@pytest.mark.parametrize(("fault", "ran"), [("429", 0), ("503", 0), ("401", 0), ("500", 1), ("502", 1), ("504", 1)])
async def test_a_refusal_has_no_effect_and_a_failure_has(
    caller: Caller, sandbox: Running, fault: str, ran: int
) -> None:
    sandbox.state.faults.add({"fault": fault})
    await caller.send("POST", START)
    assert sandbox.state.counters.contacts == ran
    sandbox.state.faults.clear()
    sandbox.state.faults.add({"fault": fault, "ran": not ran})
    await caller.send("POST", START)
    assert sandbox.state.counters.contacts == 1


@pytest.mark.parametrize(
    ("rule", "header", "value"),
    [
        ({"flavour": "bare"}, "Retry-After", None),
        ({"flavour": "retry_after", "retry_after_seconds": 7}, "Retry-After", "7"),
        ({"headers": {"Retry-After": "0"}}, "Retry-After", "0"),
        ({"headers": {"Retry-After": "3600"}}, "Retry-After", "3600"),
        ({"headers": {"Retry-After": "-5"}}, "Retry-After", "-5"),
        ({"headers": {"Retry-After": "soon"}}, "Retry-After", "soon"),
        ({"flavour": "x_ratelimit"}, "X-RateLimit-Remaining", "0"),
        ({"flavour": "genesys", "retry_after_seconds": 42}, "Retry-After", "42"),
    ],
)
async def test_a_429_comes_in_every_flavour(
    caller: Caller, rule: dict[str, Any], header: str, value: str | None
) -> None:
    await caller.control("POST", "faults", {"fault": "429"} | rule)
    reply = await caller.invoke()
    assert (reply.status, reply.headers.get(header)) == (429, value)


async def test_a_bare_429_has_neither_body_nor_content_type(caller: Caller) -> None:
    await caller.control("POST", "faults", {"fault": "429"})
    reply = await caller.invoke()
    assert (reply.raw, reply.headers.get("Content-Type")) == (b"", None)


async def test_retry_after_as_a_date_is_in_the_future_by_the_sandbox_clock(caller: Caller, clock: Clock) -> None:
    rule = {"fault": "429", "flavour": "retry_after_date", "retry_after_seconds": 5}
    await caller.control("POST", "faults", rule)
    date = (await caller.invoke()).headers["Retry-After"]
    assert email.utils.parsedate_to_datetime(date).timestamp() == clock.now + 5


async def test_genesys_says_the_wait_in_its_body(caller: Caller) -> None:
    rule = {"fault": "429", "flavour": "genesys", "retry_after_seconds": 42}
    await caller.control("POST", "faults", rule)
    body = (await caller.invoke()).json
    assert body["code"] == "too.many.requests.retry.after"
    assert "[42] seconds" in body["message"]


async def test_a_busy_503_is_a_page_and_any_body_can_be_given(caller: Caller) -> None:
    await caller.control(
        "POST",
        "faults",
        [
            {"fault": "503", "count": 1},
            {"fault": "status", "status": 418, "body": {"tea": 1}, "count": 1},
            {"fault": "status", "status": 400, "body": "plain", "count": 1},
        ],
    )
    busy = await caller.invoke()
    assert (busy.status, busy.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    teapot = await caller.invoke()
    assert (teapot.status, teapot.json) == (418, {"tea": 1})
    assert (await caller.invoke()).raw == b"plain"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset_before_headers", aiohttp.ClientOSError),
        ("close_before_headers", aiohttp.ServerDisconnectedError),
        ("reset_mid_body", aiohttp.ClientPayloadError),
    ],
)
async def test_a_broken_connection_is_broken_for_the_client_although_the_call_ran(
    caller: Caller, sandbox: Running, fault: str, error: type[Exception]
) -> None:
    await caller.control("POST", "faults", {"fault": fault, "count": 1})
    with pytest.raises(error):
        await caller.send("POST", START)
    assert sandbox.state.counters.contacts == 1
    assert sandbox.state.log.entries()[-1].outcome == fault
    assert (await caller.invoke()).status == 200


async def test_faults_of_the_body_damage_it(caller: Caller) -> None:
    names = ["truncated_json", "malformed", "html", "wrong_content_type", "error_in_200"]
    await caller.control("POST", "faults", [{"fault": name, "count": 1} for name in names])
    truncated, malformed, html, mistyped, erring = [await caller.invoke() for _ in names]
    for broken in (truncated, malformed, html):
        assert broken.status == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(broken.raw)
    assert html.headers["Content-Type"].startswith("text/html")
    assert mistyped.headers["Content-Type"].startswith("text/plain")
    assert mistyped.json["actionId"] == "lookupOrder"
    assert (erring.json["errorCount"], erring.json["results"][0]["success"]) == (1, False)


async def test_a_gzipped_response_is_gzip(caller: Caller, sandbox: Running) -> None:
    sandbox.state.faults.add({"fault": "gzip"})
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        reply = await Caller(sandbox.base_url, session, caller.token).invoke()
    assert reply.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.raw))["actionId"] == "lookupOrder"


async def test_a_big_body_has_two_megabytes_by_default(caller: Caller) -> None:
    await caller.control("POST", "faults", [{"fault": "big_body", "count": 1}, {"fault": "big_body", "bytes": 5000}])
    assert len((await caller.invoke()).raw) == 2_000_000
    small = await caller.invoke()
    assert len(small.raw) == 5000
    assert set(small.json) == {"padding"}


async def test_a_dripping_body_arrives_whole_in_the_end(caller: Caller) -> None:
    await caller.control("POST", "faults", {"fault": "drip", "chunk_bytes": 9, "chunk_ms": 0})
    assert (await caller.invoke()).json["actionId"] == "lookupOrder"


async def test_a_redirect_leads_to_a_trap_under_another_name(caller: Caller, sandbox: Running) -> None:
    await caller.control("POST", "faults", {"fault": "redirect"})
    reply = await caller.invoke()
    assert (reply.status, reply.headers["Location"]) == (302, sandbox.state.trap_url())
    assert "//localhost:" in reply.headers["Location"]
    await caller.send("GET", "/__sim__/trap")
    breaches = sandbox.state.conduct.breaches
    assert (breaches["redirect_followed"], breaches["token_followed_redirect"]) == (1, 1)


async def test_a_stalled_call_has_run_although_its_caller_gave_up(caller: Caller, sandbox: Running) -> None:
    await caller.control("POST", "faults", {"fault": "stall", "count": 1})
    call = asyncio.create_task(caller.send("POST", START))
    await sandbox.state.log.reached(2)
    call.cancel()
    entry = await sandbox.state.log.ended(2)
    assert (entry.outcome, entry.ran, entry.status) == ("client_left", True, None)
    assert sandbox.state.counters.contacts == 1


async def test_any_fault_can_come_late(caller: Caller, sandbox: Running) -> None:
    fault = sandbox.state.faults.add({"fault": "503", "ms": 1})
    assert fault.slow_ms == 1
    assert sandbox.state.faults.add({"fault": "slow"}).slow_ms == 2000
    assert (await caller.invoke()).status == 503


async def test_a_rule_skips_the_first_calls(caller: Caller) -> None:
    await caller.control("POST", "faults", {"fault": "500", "skip": 2, "count": 1})
    assert [(await caller.invoke()).status for _ in range(4)] == [200, 200, 500, 200]


async def test_a_rule_applies_within_its_window_only(caller: Caller, clock: Clock) -> None:
    await caller.control("POST", "faults", {"fault": "500", "after_seconds": 10, "for_seconds": 5})
    statuses = []
    for moment in (9.9, 10, 14.9, 15):
        clock.now = 1_800_000_000.0 + moment
        statuses.append((await caller.invoke()).status)
    assert statuses == [200, 500, 500, 200]
    assert await caller.control("GET", "faults") == {"faults": []}


async def test_a_rate_hits_its_share_of_the_calls(caller: Caller) -> None:
    await caller.control("POST", "faults", {"fault": "500", "rate": 0.5})
    statuses = [(await caller.invoke()).status for _ in range(200)]
    assert 70 < statuses.count(500) < 130


@pytest.mark.parametrize(
    ("condition", "hit"),
    [
        ({"where": "webaction"}, True),
        ({"where": "script_start"}, False),
        ({"where": "api"}, True),
        ({"where": "any"}, True),
        ({"where": "token"}, False),
        ({"action": "lookupOrder"}, True),
        ({"action": "createCase"}, False),
        ({"unit": 4_600_001}, True),
        ({"unit": 4_600_002}, False),
        ({"client_id": CLIENT}, True),
        ({"client_id": "other"}, False),
    ],
)
async def test_a_rule_can_be_aimed(caller: Caller, condition: dict[str, Any], hit: bool) -> None:
    await caller.control("POST", "faults", {"fault": "500"} | condition)
    assert (await caller.invoke()).status == (500 if hit else 200)


async def test_a_call_that_is_refused_anyway_uses_up_no_fault(caller: Caller) -> None:
    await caller.control("POST", "faults", {"fault": "500", "count": 1})
    assert (await caller.invoke(headers={"Authorization": "Bearer no"})).status == 401
    assert (await caller.invoke()).status == 500


async def test_one_rule_or_all_can_be_dropped(caller: Caller) -> None:
    added = (await caller.control("POST", "faults", [{"fault": "500"}, {"fault": "502"}]))["faults"]
    assert await caller.control("DELETE", f"faults?id={added[0]['id']}") == {"removed": 1}
    assert (await caller.invoke()).status == 502
    assert await caller.control("DELETE", "faults") == {"removed": 1}
    assert (await caller.invoke()).status == 200


async def test_of_a_list_with_one_mistake_nothing_is_added(caller: Caller) -> None:
    reply = await caller.send("POST", "/__sim__/faults", json=[{"fault": "500"}, {"fault": "no"}])
    assert (reply.status, reply.json["field"]) == (400, "fault")
    assert await caller.control("GET", "faults") == {"faults": []}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({}, "fault"),
        ({"fault": 429}, "fault"),
        ({"fault": "429", "where": "moon"}, "where"),
        ({"fault": "429", "count": 0}, "count"),
        ({"fault": "429", "count": True}, "count"),
        ({"fault": "429", "rate": 2}, "rate"),
        ({"fault": "429", "flavour": "sour"}, "flavour"),
        ({"fault": "429", "headers": {"Retry-After": 2}}, "headers"),
        ({"fault": "429", "headers": {"X": "a\r\nb: c"}}, "headers"),
        ({"fault": "429", "bytes": 10}, "bytes"),
        ({"fault": "429", "cuont": 3}, "cuont"),
        ({"fault": "expires_in_zero", "where": "invoke"}, "where"),
        ([], "body"),
        ("429", "body"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_its_field(sandbox: Running, rule: object, field: str) -> None:
    with pytest.raises(ControlError) as caught:
        sandbox.state.faults.add(rule)
    assert caught.value.field == field
    assert caught.value.remedy


def test_faults_of_calls_and_faults_of_tokens_are_distinguished() -> None:
    assert {"500", "stall", "reset_mid_body"} <= RUNS
    assert not {"429", "503", "redirect"} & RUNS
    assert {"expires_in", "camel_case", "empty_access_token"} <= TOKEN_ONLY
    assert "stall" not in TOKEN_ONLY
