"""The request log: its entries, masked secrets, and queries."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from quota_platform.sandbox import Running, masked, running
from quota_platform.sandbox.log import mask_form, mask_header, mask_json
from tests.quota_platform.sandbox.conftest import CLIENT, KEY, KEY_SECRET, SECRET, Caller


async def log_of(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await caller.control("GET", f"log?{query}"))["entries"]
    return entries


async def test_a_call_is_kept_as_it_came(signed_in: Caller) -> None:
    body = {"order": "A-1", "note": "é"}
    await signed_in.invoke(headers={"X-Request-Id": "r-1"}, json=body)
    entry = (await log_of(signed_in, "endpoint=webaction"))[0]
    assert (entry["method"], entry["path"], entry["query"]) == ("POST", "/webactions/lookupOrder/invoke", "")
    assert json.loads(entry["body"]) == body
    assert entry["headers"]["x-request-id"] == "r-1"
    assert (entry["status"], entry["outcome"], entry["ran"]) == (200, "answered", True)
    assert (entry["client_id"], entry["unit"], entry["action"]) == (CLIENT, 4_600_001, "lookupOrder")
    assert entry["took_ms"] >= 0


async def test_a_token_keeps_its_kind_and_can_be_compared(signed_in: Caller) -> None:
    await signed_in.invoke()
    entry = (await log_of(signed_in, "endpoint=webaction"))[0]
    assert entry["headers"]["authorization"] == f"Bearer {masked(signed_in.token)}"


async def test_no_secret_is_in_the_log(signed_in: Caller, sandbox: Running) -> None:
    basic = {"Authorization": aiohttp.encode_basic_auth(CLIENT, SECRET)}
    form = {"grant_type": "password", "username": KEY, "password": KEY_SECRET}
    refresh = (await signed_in.send("POST", "/auth/token", data=form, headers=basic)).json["refresh_token"]
    await signed_in.send("POST", "/auth/token", json=form, headers=basic)
    await signed_in.send("POST", "/public/user/refresh", json={"token": refresh})
    encoded = "app-secret%2F%2B%3D"
    for path in (
        f"/rest/y?q={encoded}",
        f"/oauth/token?client_secret={SECRET}",
        f"/rest/x?t={signed_in.token}",
        f"/rest/{KEY_SECRET}",
    ):
        await signed_in.send("POST", path)
    await signed_in.invoke()
    text = json.dumps(await signed_in.control("GET", "log")) + json.dumps(await signed_in.control("GET", ""))
    for secret in (SECRET, KEY_SECRET, signed_in.token, refresh, basic["Authorization"], "KEYSECRET", encoded):
        assert secret not in text
    assert sandbox.state.conduct.breaches["secret_in_url"] == 4


async def test_a_token_request_is_kept_pair_by_pair(caller: Caller) -> None:
    await caller.sign_in(scope="webaction:execute")
    entry = (await log_of(caller, "endpoint=token"))[0]
    assert entry["body"] == (
        "grant_type=client_credentials&client_id=app%40vendor"
        f"&client_secret={masked('app-secret%2F%2B%3D')}&scope=webaction%3Aexecute"
    )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a=1&password=x", f"a=1&password={masked('x')}"),
        ("PASSWORD=x", f"PASSWORD={masked('x')}"),
        ("plain", "plain"),
        ("a=b=c", "a=b=c"),
        ("", ""),
    ],
)
def test_only_secret_fields_of_a_form_are_masked(text: str, kept: str) -> None:
    assert mask_form(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"accessKeyId": "k", "accessKeySecret": "s"}', f'{{"accessKeyId": "k", "accessKeySecret": "{masked("s")}"}}'),
        ('{"password": 5}', f'{{"password": "{masked("5")}"}}'),
        ('{"password": "x"', "(not JSON)"),
        ("[1]", "(not an object)"),
    ],
)
def test_a_json_body_that_cannot_be_masked_is_not_shown(text: str, kept: str) -> None:
    assert mask_json(text) == kept


def test_a_header_without_a_kind_is_masked_whole() -> None:
    assert mask_header("Authorization", "abc") == masked("abc")
    assert mask_header("X-Request-Id", "abc") == "abc"


async def test_since_returns_later_entries(signed_in: Caller) -> None:
    last = (await signed_in.control("GET", "log"))["last_seq"]
    await signed_in.invoke("one")
    await signed_in.invoke("two")
    assert [entry["action"] for entry in await log_of(signed_in, f"since={last}")] == ["one", "two"]
    assert [entry["action"] for entry in await log_of(signed_in, f"since={last}&limit=1")] == ["one"]


async def test_a_reset_empties_the_log_and_numbers_on(signed_in: Caller) -> None:
    await signed_in.invoke()
    last = (await signed_in.control("POST", "reset"))["last_seq"]
    assert await log_of(signed_in) == []
    await signed_in.invoke()
    assert [entry["seq"] for entry in await log_of(signed_in)] == [last + 1]


async def test_only_the_newest_entries_are_kept() -> None:
    async with running(clients={CLIENT: SECRET}, log_size=3) as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(sandbox.base_url, session)
        for _ in range(5):
            await caller.sign_in()
        assert [entry["seq"] for entry in await log_of(caller)] == [3, 4, 5]


async def test_a_log_of_size_nothing_keeps_nothing() -> None:
    async with running(clients={CLIENT: SECRET}, log_size=0) as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(sandbox.base_url, session)
        await caller.sign_in()
        assert (await caller.invoke()).status == 200
        assert await log_of(caller) == []


async def test_a_reader_can_wait_for_a_call(signed_in: Caller, sandbox: Running) -> None:
    waiting = asyncio.create_task(log_of(signed_in, "wait_for=2"))
    await signed_in.invoke()
    assert [entry["seq"] for entry in await waiting] == [1, 2]
    late = await signed_in.send("GET", "/__sim__/log?wait_for=99&wait_ms=1")
    assert (late.status, late.json["last_seq"]) == (408, 2)


@pytest.mark.parametrize("query", ["since=x", "since=-1", "endpoint=moon", "limit=1.5", "wait_for=a"])
async def test_a_query_that_makes_no_sense_is_refused(caller: Caller, query: str) -> None:
    reply = await caller.send("GET", f"/__sim__/log?{query}")
    assert (reply.status, reply.json["field"]) == (400, query.partition("=")[0])
