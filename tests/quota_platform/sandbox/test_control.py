"""The control API: the present state in one response, clear refusals, a reset that forgets."""

from __future__ import annotations

from typing import Any

import pytest

from quota_platform.sandbox import Running
from quota_platform.sandbox.control import ORDERS
from tests.quota_platform.sandbox.conftest import CLIENT, Caller, Clock


async def test_the_front_page_shows_the_faults_in_force(caller: Caller, sandbox: Running) -> None:
    await caller.control("PUT", "latency", {"ms": 200})
    await caller.control("PUT", "limiter", {"concurrency": 5})
    found = await caller.control("GET", "")
    assert found["base_url"] == sandbox.base_url
    assert found["latency"]["invoke"] == "200 ms"
    assert found["limiter"]["everyone"]["concurrency"] == 5
    assert found["clients"] == [{"client_id": CLIENT, "unit": 4_600_001, "auth": "any"}]


@pytest.mark.parametrize(
    ("method", "name", "body", "field"),
    [
        ("PUT", "latency", b"{", "body"),
        ("PUT", "latency", b"[]", "body"),
        ("PUT", "latency", b"", "profile"),
        ("POST", "faults", b"null", "body"),
        ("PUT", "tokens", b'{"expires_in": 0}', "expires_in"),
        ("PUT", "tokens", b'{"require_scope": "yes"}', "require_scope"),
        ("PUT", "tokens", b'{"error_status": 500}', "error_status"),
        ("POST", "clients", b'{"client_id": "new"}', "client_secret"),
        ("POST", "clients", b'{"client_id": "", "client_secret": "s"}', "client_id"),
        ("POST", "clients", b'{"client_id": "a", "client_secret": "s", "unit": 7}', "unit"),
        ("POST", "access-keys", b'{"access_key_id": "new"}', "access_key_secret"),
        ("DELETE", "clients", b'{"client_id": "nobody"}', "client_id"),
        ("PUT", "answers", b"{}", "endpoint"),
        ("PUT", "answers", b'{"action": "a", "status": 99}', "status"),
        ("PUT", "contacts", b'{"scripts": "p"}', "scripts"),
        ("POST", "clock", b'{"advance_seconds": -1}', "advance_seconds"),
        ("POST", "revoke", b'{"everything": true}', "everything"),
        ("POST", "outage", b"{}", "for_seconds"),
        ("POST", "reset", b'{"tokens": 1}', "tokens"),
    ],
)
async def test_a_mistake_is_named_with_its_remedy(
    caller: Caller, method: str, name: str, body: bytes, field: str
) -> None:
    reply = await caller.send(method, f"/__sim__/{name}", data=body)
    assert (reply.status, reply.json["field"]) == (400, field)
    assert reply.json["problem"]
    assert reply.json["remedy"]


async def test_a_secret_is_never_answered(caller: Caller) -> None:
    reply = await caller.send("POST", "/__sim__/clients", json={"client_id": "new", "client_secret": "canary"})
    assert b"canary" not in reply.raw
    for name, orders in ORDERS.items():
        if "GET" in orders:
            assert b"canary" not in (await caller.send("GET", f"/__sim__/{name}")).raw


async def test_a_reset_forgets_all_but_accounts_and_tokens(signed_in: Caller, clock: Clock) -> None:
    for method, name, values in [
        ("PUT", "latency", {"ms": 5}),
        ("POST", "faults", {"fault": "500"}),
        ("PUT", "limiter", {"concurrency": 1}),
        ("PUT", "tokens", {"expires_in": 5}),
        ("PUT", "answers", {"action": "lookupOrder", "status": 201}),
        ("PUT", "conduct", {"refuse": ["accept_absent"]}),
        ("POST", "clock", {"advance_seconds": 60}),
    ]:
        await signed_in.control(method, name, values)
    await signed_in.control("POST", "reset")
    found = await signed_in.control("GET", "")
    assert (found["faults"], found["answers"], found["conduct"]["refuse"]) == ([], [], [])
    assert (found["latency"]["invoke"], found["tokens"]["expires_in"]) == ("instant", 3600)
    assert (found["limiter"]["everyone"], found["clock"]) == (None, clock.now)
    assert (await signed_in.invoke()).status == 200
    await signed_in.control("POST", "reset", {"tokens": True})
    assert (await signed_in.invoke()).status == 401


async def test_an_unknown_control_lists_the_known_ones(caller: Caller) -> None:
    known: list[Any] = (await caller.send("GET", "/__sim__/nothing")).json["known"]
    assert "POST /__sim__/faults" in known
