"""Canaries: no secret and no token reaches an error, a log line or a repr, whatever goes wrong."""

from __future__ import annotations

import dataclasses
import logging
import traceback
from typing import Any

import pytest
import redis.asyncio

from limiter.core import keys
from limiter.upstream import health
from limiter.upstream.client import Client
from limiter.upstream.errors import UpstreamError
from quota_platform.sandbox import Running
from tenants.directory import ActionSpec
from tests.limiter.upstream.conftest import Connect, HandClock, call_to

CANARY = "canary"
SCRIPT = ActionSpec(2, "start", kind="script_start", skill_id="1", script_path="A", timeout_ms=100)
FAULTS: list[dict[str, Any]] = [
    {
        "fault": "401",
        "where": "token",
        "body": {"error": "invalid_client", "error_description": "bad canary-client-secret/+="},
    },
    {"fault": "500", "where": "token", "body": "canary-access-key-secret===="},
    {"fault": "html", "where": "token"},
    {"fault": "reset_before_headers", "where": "token"},
    {"fault": "401", "where": "invoke"},
    {"fault": "429", "where": "invoke"},
    {"fault": "reset_mid_body", "where": "invoke"},
    {"fault": "redirect", "where": "invoke"},
    {"fault": "stall", "where": "invoke"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['fault']}-{fault['where']}")
async def test_nothing_that_goes_wrong_tells_a_secret(
    sandbox: Running,
    client: Client,
    connect: Connect,
    store: redis.asyncio.Redis,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = connect("cxone")
    sandbox.state.faults.add(fault)

    with pytest.raises(UpstreamError) as caught:
        await client.invoke(call_to(connection, SCRIPT))

    data = "".join(traceback.format_exception(caught.value)) + caught.value.detail + caplog.text
    data += str(health.parse(await store.get(keys.health(connection.uid))))
    assert CANARY not in data
    assert not any(token in data for token in sandbox.state.tokens.values())
    assert sandbox.address not in caught.value.detail


async def test_nothing_a_worker_holds_shows_a_secret(
    sandbox: Running, client: Client, connect: Connect, store: redis.asyncio.Redis, clock: HandClock
) -> None:
    connection = connect("cxone")
    call = call_to(connection, dataclasses.replace(SCRIPT, timeout_ms=30_000))
    response = await client.invoke(call)

    shown = repr(call) + repr(response) + repr(client.units()) + repr(vars(client)) + repr(vars(client._tokens))

    assert CANARY not in shown
    assert connection.client_secret_sealed not in shown and connection.access_key_secret_sealed not in shown
    assert not any(token in shown for token in sandbox.state.tokens.values())


async def test_the_store_holds_no_secret_in_plain(
    sandbox: Running, client: Client, connect: Connect, store: redis.asyncio.Redis
) -> None:
    await client.invoke(call_to(connect("cxone"), dataclasses.replace(SCRIPT, timeout_ms=30_000)))

    held = [await store.get(key) for key in await store.keys("*")]

    assert len(held) == 2
    for token in sandbox.state.tokens.values():
        assert not any(token.encode() in (value or b"") for value in held)
