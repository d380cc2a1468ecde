"""Responses as they leave: framed as the caller's version knows it, whole or broken off, never silently missing."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httptools
import pytest

from quota_platform.server.asgi_call import WHOLE
from tests.quota_platform.server.wire import DATE, echo, served


async def pieces(scope: Any, receive: Any, send: Any) -> None:
    """Responds in three pieces, of which one is empty."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one", b"", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("version", "framed"),
    [
        (b"1.1", b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        (b"1.0", b"connection: close\r\n\r\nonetwo"),
    ],
)
async def test_pieces_are_chunks_where_the_caller_knows_them(version: bytes, framed: bytes) -> None:
    async with served(pieces) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/%b\r\nHost: x\r\nConnection: close\r\n\r\n" % version)
        head, body = (await wire.rest()).split(b"\r\n\r\n", 1)
        fields, expected = framed.split(b"\r\n\r\n", 1)
        assert sorted(head.split(b"\r\n")[1:]) == sorted([b": ".join(DATE), *fields.split(b"\r\n")])
        assert body == expected


@pytest.mark.parametrize("app", [echo, pieces])
async def test_head_is_answered_without_a_body(app: Any) -> None:
    async with served(app) as (connect, _):
        wire = await connect()
        await wire.say(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await wire.rest()).endswith(b"\r\n\r\n")


async def test_a_connection_of_http_1_0_that_is_kept_is_said_to_be() -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        for _ in range(2):
            await wire.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await wire.hear())[1]["connection"] == "keep-alive"
        await wire.say(b"GET / HTTP/1.0\r\n\r\n")
        assert b"connection: close" in await wire.rest()


@pytest.mark.parametrize(("status", "fields"), [(204, []), (205, [b"content-length: 0"]), (304, [])])
async def test_a_status_without_a_body_is_sent_without_one(status: int, fields: list[bytes]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"no body of mine"})

    async with served(app) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, body = (await wire.rest()).split(b"\r\n\r\n")
        assert [field for field in head.split(b"\r\n")[1:] if field[:4] not in (b"date", b"conn")] == fields
        assert body == b""


async def broken(scope: Any, receive: Any, send: Any) -> None:
    raise ZeroDivisionError


async def cancelled(scope: Any, receive: Any, send: Any) -> None:
    raise asyncio.CancelledError


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.mark.parametrize("app", [broken, cancelled, silent])
async def test_the_server_responds_for_an_application_that_does_not(app: Any) -> None:
    async with served(app) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /here HTTP/1.1\r\nHost: x\r\nX-Request-Id: r1\r\n\r\n")
        line, headers, body = await wire.hear()
        assert (line, headers["x-request-id"]) == ("HTTP/1.1 500 Internal Server Error", "r1")
        assert b'"urn:quota-platform:problem:internal"' in body


async def test_a_failure_of_an_application_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with served(broken) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /here HTTP/1.1\r\nHost: x\r\n\r\n")
        await wire.rest()
    assert "the application failed on GET /here" in caplog.text


async def test_a_response_that_breaks_off_is_not_ended() -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with served(half) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await wire.hear()


async def test_a_whole_response_goes_the_short_way() -> None:
    async def short(scope: Any, receive: Any, send: Any) -> None:
        call = scope["extensions"][WHOLE]
        await call.response(429, [("X-Greeting", scope["state"]["greeting"])], call.whole_body())

    async with served(short) as (connect, _):
        wire = await connect()
        await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
        line, headers, body = await wire.hear()
        assert (line, headers["x-greeting"], body) == ("HTTP/1.1 429 Too Many Requests", "hello", b"body")


STATUSES = [
    200,
    200,
    204,
    205,
    304,
    404,
    500,
    599,
    0,
    99,
    100,
    101,
    199,
    600,
    999,
    -1,
    2**70,
    "200",
    None,
    200.5,
    b"200",
]
NAMES = ["x", "X-A", "content-type", "Content-Length", "connection", "Transfer-Encoding", "upgrade", "date", "", "a b"]
NAMES += ["a:", "x\r\ny", "x\0", "naïve", "\N{SNOWMAN}", "keep-alive", "trailer"]
VALUES = [
    "",
    "a",
    "5",
    "0",
    "-1",
    "5, 5",
    "chunked",
    "close",
    "Keep-Alive",
    "h2c",
    "a\r\nset-cookie: b",
    "a\nb",
    "a\rb",
]
VALUES += ["\0", "\x7f", "é", "\N{SNOWMAN}", "  a\t", "99999999999999999999"]
BODIES: list[Any] = [
    b"",
    b"hello",
    b"x" * 5,
    b"a" * 100_000,
    bytearray(b"hello"),
    memoryview(b"hello"),
    "hello",
    None,
    5,
]


def fields_of(rng: random.Random) -> Any:
    fields: list[Any] = [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(rng.choice([0, 0, 1, 2, 4]))]
    return rng.choice([fields, fields, fields, fields, [("x",)], [("x", None)], None, 7])


def encoded(fields: Any) -> Any:
    return [tuple(part.encode() if isinstance(part, str) else part for part in pair) for pair in fields]


async def short_way(rng: random.Random, scope: Any, send: Any) -> None:
    await scope["extensions"][WHOLE].response(rng.choice(STATUSES), fields_of(rng), rng.choice(BODIES))


async def messages(rng: random.Random, scope: Any, send: Any) -> None:
    for _ in range(rng.choice([1, 1, 1, 2])):
        headers = fields_of(rng)
        start: dict[str, Any] = {"type": "http.response.start", "status": rng.choice(STATUSES)}
        await send(start | {"headers": encoded(headers) if isinstance(headers, list) else headers})
    await send({"type": "http.response.body", "body": rng.choice(BODIES), "more_body": False})


class Heard:
    """What a client's parser makes of a response."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.fields: dict[bytes, bytes] = {}
        self.heads = self.whole = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.heads += 1

    def on_message_complete(self) -> None:
        self.whole += 1


@pytest.mark.parametrize("way", [short_way, messages])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_an_application_returns_the_caller_gets_one_well_formed_response(
    way: Callable[[random.Random, Any, Any], Awaitable[None]], version: str, seed: int
) -> None:
    rng = random.Random(f"{way.__name__} {version} {seed}")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await way(rng, scope, send)

    async with served(app) as (connect, _):
        for _ in range(100):
            wire = await connect()
            await wire.say(f"GET / HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            said = await wire.rest()
            heard = Heard()
            heard.parser.feed_data(said)
            status, length = heard.parser.get_status_code(), heard.fields.get(b"content-length")
            assert (heard.heads, 200 <= status < 600) == (1, True), said[:500]
            assert heard.whole == 1 or (status == 304 and length is not None) or length is None, said[:500]
            assert heard.fields[b"connection"] == b"close"
            assert len(re.findall(rb"(?m)^date: ", said.partition(b"\r\n\r\n")[0])) == 1
            assert b"set-cookie" not in heard.fields
