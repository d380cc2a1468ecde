"""Faults of the token endpoints: odd answers, failures, and tokens that are good all the same."""

from __future__ import annotations

from typing import Any

import pytest

from quota_platform.sandbox import Running
from tests.quota_platform.sandbox.conftest import CLIENT, KEY, KEY_SECRET, SECRET, Caller


@pytest.fixture
async def caller(signed_in: Caller) -> Caller:
    return signed_in


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"fault": "expires_in_missing"}, "missing"),
        ({"fault": "expires_in_string"}, "3600"),
        ({"fault": "expires_in_zero"}, 0),
        ({"fault": "expires_in_negative"}, -1),
        ({"fault": "expires_in", "value": "an hour"}, "an hour"),
        ({"fault": "expires_in"}, None),
    ],
)
async def test_a_token_with_an_odd_life_is_good_all_the_same(caller: Caller, rule: dict[str, Any], found: Any) -> None:
    await caller.control("POST", "faults", rule)
    reply = await caller.sign_in()
    assert reply.json.get("expires_in", "missing") == found
    assert (await caller.invoke()).status == 200


@pytest.mark.parametrize(
    ("fault", "status"),
    [("429", 429), ("500", 500), ("503", 503), ("html", 200), ("malformed", 200), ("camel_case", 200)],
)
async def test_the_token_endpoint_fails_too(caller: Caller, sandbox: Running, fault: str, status: int) -> None:
    await caller.control("POST", "faults", {"fault": fault, "where": "token"})
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
    reply = await caller.send("POST", "/oauth/token", data=form)
    assert reply.status == status
    assert b'"access_token"' not in reply.raw
    assert sandbox.state.counters.minted[CLIENT] == (2 if status == 200 else 1)


async def test_parts_of_a_token_response_can_be_missing(caller: Caller) -> None:
    names = ["no_id_token", "no_access_token", "empty_access_token"]
    await caller.control("POST", "faults", [{"fault": name, "count": 1} for name in names])
    form = {"grant_type": "password", "username": KEY, "password": KEY_SECRET}
    form |= {"client_id": CLIENT, "client_secret": SECRET}
    responses = [(await caller.send("POST", "/auth/token", data=form)).json for _ in range(4)]
    assert "id_token" not in responses[0]
    assert "access_token" not in responses[1]
    assert responses[2]["access_token"] == ""
    assert {"access_token", "id_token", "refresh_token"} <= set(responses[3])


async def test_a_token_fault_leaves_an_error_response_unchanged(caller: Caller) -> None:
    await caller.control("POST", "faults", {"fault": "expires_in_zero"})
    assert (await caller.sign_in(client_secret="wrong")).json["error"] == "invalid_client"
