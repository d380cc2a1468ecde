"""A 2xx response with an error inside counts as the failure it is, where its action has a rule for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from limiter.upstream import failures
from limiter.upstream.call import UpstreamResponse
from limiter.upstream.client import Client
from limiter.upstream.errors import BreakerOpen, Overloaded
from limiter.upstream.exchange import SHORT_BYTES, Exchange
from quota_platform.sandbox import Running
from tests.limiter.upstream.conftest import LOOKUP, Connect, MakeClient, call_to
from tests.limiter.upstream.test_exchange import exchange as exchange
from tests.limiter.upstream.test_exchange import read, request, server

RULED = replace(LOOKUP, failure_at="/errorCount")
"""For the sandbox's fault ``error_in_200``."""
BUSY = replace(RULED, failure_counts_as="overload")


def response(body: bytes | None, *, status: int = 200) -> UpstreamResponse:
    return UpstreamResponse(status, [], 1000, body=body)


@pytest.mark.parametrize(
    ("body", "counts_as"),
    [
        (b'{"errorCount": 1}', 500),
        (b'{"errorCount": 0}', None),
        (b"", None),
        (b"<html>", None),
        (b"\xff\xfe", None),
        (b'{"errorCount":' + b"[" * 60_000, None),
        (b'{"errorCount": 1' + b"0" * 5_000 + b"}", None),
        (None, None),
    ],
    ids=["an error", "none", "empty", "HTML", "no UTF-8", "too deep", "a huge number", "streamed"],
)
def test_a_body_is_read_only_as_far_as_it_can_be(body: bytes | None, counts_as: int | None) -> None:
    assert failures.status_of(RULED, response(body)) == counts_as


def test_a_body_that_is_no_json_lacks_the_value_that_success_has() -> None:
    wants_id = replace(LOOKUP, failure_at="/id", failure_when="empty")
    assert [failures.status_of(wants_id, response(body)) for body in (b"<html>", b'{"id": 7}')] == [500, None]


@pytest.mark.parametrize("status", [304, 400, 500])
def test_a_response_that_is_no_2xx_keeps_its_own_status(status: int) -> None:
    assert failures.status_of(RULED, response(b'{"errorCount": 1}', status=status)) is None


async def test_an_error_inside_is_passed_on_unchanged_and_opens_the_breaker(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    connection = connect(breaker_min_calls=5)
    sandbox.state.faults.add({"fault": "error_in_200"})

    for _ in range(5):
        lied = await client.invoke(call_to(connection, RULED))
        assert (lied.status, lied.judged, lied.ok, lied.attempts) == (200, 500, False, 1)
        assert lied.body is not None and b'"errorCount": 1' in lied.body

    assert client.units()[connection.uid].failures == 5
    with pytest.raises(BreakerOpen):
        await client.invoke(call_to(connection, RULED))


async def test_an_error_inside_is_repeated_only_if_the_action_is_idempotent(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    sandbox.state.faults.add({"fault": "error_in_200", "count": 1})
    repeated = await client.invoke(call_to(connect(), replace(RULED, idempotent=True)))
    assert (repeated.judged, repeated.ok, repeated.attempts) == (200, True, 2)


async def test_a_call_turned_away_inside_a_200_pauses_the_connection_and_did_not_run(
    sandbox: Running, make_client: MakeClient, connect: Connect
) -> None:
    heard: list[tuple[int, float | None]] = []
    client = make_client(pushed_back=lambda _, status, wait_s, took_us: heard.append((status, wait_s)))
    sandbox.state.faults.add({"fault": "error_in_200", "headers": {"Retry-After": "7"}})

    with pytest.raises(Overloaded) as caught:
        await client.invoke(call_to(connect(max_retries=1), BUSY))

    assert (caught.value.attempts, caught.value.pushback, caught.value.may_have_run) == (2, True, False)
    assert caught.value.retry_after_us == 7_000_000
    assert heard == [(429, 7.0)] * 2


async def test_an_action_without_the_rule_takes_a_200_for_what_it_is(
    sandbox: Running, client: Client, connect: Connect
) -> None:
    sandbox.state.faults.add({"fault": "error_in_200"})
    taken = await client.invoke(call_to(connect()))
    assert (taken.judged, taken.ok, client.units()[connect().uid].failures) == (200, True, 0)


@pytest.mark.parametrize("size", [12, SHORT_BYTES + 1])
async def test_a_body_of_unknown_length_is_read_whole_while_it_is_short_and_streamed_then(
    exchange: Exchange, size: int
) -> None:
    part = size // 3
    handed_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            writer.write(b"%x\r\n%b\r\n" % (part, b"x" * part))
            await writer.drain()
        if size > SHORT_BYTES:
            writer.write(b"%x\r\n%b\r\n" % (4096, b"y" * 4096))
            await handed_on.wait()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with server(script) as url:
        received = await exchange.send(replace(request(url), reads_short=True))
        assert (received.body is None) == (size > SHORT_BYTES)
        handed_on.set()
        assert (await read(received)).startswith(b"x" * (3 * part))
