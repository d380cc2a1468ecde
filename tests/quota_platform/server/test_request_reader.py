"""Requests by RFC 9112, malformed ones, and the bytes that an application gets."""

from __future__ import annotations

from typing import Any

import pytest

from quota_platform.server.asgi_call import WHOLE
from quota_platform.server.guard import Guard
from quota_platform.server.limits import Limits
from quota_platform.server.request_reader import MAX_HEAD_BYTES
from tests.quota_platform.server.wire import echo, served

BODIES = [
    b"Content-Length: 5\r\n\r\nhello",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX: y\r\n\r\n",
]
UPGRADES = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
    b"Connection: upgrade\r\nUpgrade: TLS/1.2, foo\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Upgrade: h2c\r\n",
]


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_request_that_asks_for_an_upgrade_keeps_its_body(upgrade: bytes, body: bytes, size: int) -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        said = b"POST /a HTTP/1.1\r\nHost: x\r\n" + upgrade + body + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
        await wire.say(*(said[at : at + size] for at in range(0, len(said), size)))
        assert [(await wire.hear())[2] for _ in range(2)] == [b"POST /a? hello", b"GET /next? "]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"GET   /a   HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /a? "),
        (b"TRACE /a HTTP/1.1\r\nHost: x\r\n\r\n", b"TRACE /a? "),
        (b"QUERY /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", b"QUERY /a? hi"),
    ],
)
async def test_a_request_whose_end_is_beyond_doubt_is_served_and_so_is_the_next(said: bytes, heard: bytes) -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(said + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [(await wire.hear())[2] for _ in range(2)] == [heard, b"GET /next? "]


@pytest.mark.parametrize(("digits", "status"), [(16, 408), (17, 400)])
async def test_a_chunk_of_the_largest_size_ends_by_the_deadline_and_one_that_overflows_is_malformed(
    digits: int, status: int
) -> None:
    async with served(echo, guard=Guard(Limits(body_s=0.2))) as (connect, _):
        wire = await connect()
        await wire.say(CHUNKED + b"F" * digits + b"\r\nabc")
        assert int((await wire.hear())[0].split()[1]) == status


async def headers_of(scope: Any, receive: Any, send: Any) -> None:
    """Responds with the names in the request's head."""
    names = b" ".join(name for name, _ in scope["headers"])
    await scope["extensions"][WHOLE].response(200, [], names)
    assert b" ".join(name for name, _ in scope["headers"]) == names


async def test_trailers_are_dropped() -> None:
    async with served(headers_of) as (connect, _):
        wire = await connect()
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await wire.say(head + b"1\r\na\r\n0\r\nAuthorization: Bearer k\r\nX-Tenant-Id: t\r\n\r\n")
        assert (await wire.hear())[2] == b"host transfer-encoding"


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
HOST = b"Host: x\r\n"
UNSOUND_HOSTS = [b"", b"a b", b"u@x", b"x:99999", b"[::1", b"x/y"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        *(
            (b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host, 400)
            for host in (b"", b"a b", b"u@x", b"x:99999", b"[::1", b"x/y")
        ),
        (b"GET http://u@x/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET ftp://x/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET http:/// HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT /a HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505),
        (b"GET /\r\n" + HOST + b"\r\n", 505),
        (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 505),
        (b"GET / RTSP/1.0\r\n" + HOST + b"\r\n", 400),
        (b"GET  / RTSP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"\r\nPOST /a?b RTSP/1.0\r\n" + HOST + b"\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\n" + HOST + b"\r\n", 400),
        (b"DESCRIBE /a RTSP/1.0\r\n" + HOST + b"\r\n", 400),
        (b"SOURCE /a ICE/1.0\r\n" + HOST + b"\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (CHUNKED + b"zz\r\n", 400),
        (CHUNKED + b"1\r\nab\r\n", 400),
        (CHUNKED + b"1\r\na\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431),
        (CHUNKED + b"1\r\na\r\n0\r\nX: " + b"y" * 300_000, 400),
        (CHUNKED + b"1;x=" + b"y" * 300_000, 400),
        (CHUNKED + b"1\r\na\r\n" * 300_000, 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2 * MAX_HEAD_BYTES, 431),
        (b"GET /" + b"a" * 2 * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", 431),
    ],
    ids=lambda said: repr(said[:50]) if isinstance(said, bytes) else None,
)
async def test_a_malformed_request_is_rejected_and_the_connection_closed(said: bytes, status: int) -> None:
    guard = Guard(Limits(max_page_body_bytes=100_000))
    async with served(echo, guard=guard) as (connect, _):
        wire = await connect()
        await wire.say(said)
        line, headers, body = await wire.hear()
        assert int(line.split()[1]) == status
        assert (headers["connection"], headers["content-type"]) == ("close", "application/problem+json")
        assert b'"type":"urn:quota-platform:problem:' in body
    assert guard.rejections.total() == 1


@pytest.mark.parametrize("size", [1, 9, 1000])
async def test_another_protocol_is_found_wherever_its_line_begins_and_not_in_bodies(size: int) -> None:
    body = b"POST / RTSP/1.0"
    said = b"POST / HTTP/1.1\r\nHost: x\r\nX: a RTSP/1.0\r\nContent-Length: 15\r\n\r\n" + body
    said += b"GET /next RTSP/1.0\r\nHost: x\r\n\r\n"
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(*(said[at : at + size] for at in range(0, len(said), size)))
        assert (await wire.hear())[2] == b"POST /? " + body
        assert (await wire.hear())[0].split()[1] == "400"


async def test_the_host_of_an_absolute_target_counts() -> None:
    async def host(scope: Any, receive: Any, send: Any) -> None:
        fields = [value for name, value in scope["headers"] if name == b"host"]
        await scope["extensions"][WHOLE].response(200, [], b" ".join([scope["path"].encode(), *fields]))

    async with served(host) as (connect, _):
        wire = await connect()
        await wire.say(b"GET http://other:81/p?q HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.hear())[2] == b"/p other:81"


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b"100-CONTINUE"])
async def test_a_caller_that_expects_100_continue_gets_it(value: bytes) -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: %b\r\nContent-Length: 2\r\n\r\n" % value)
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.say(b"hi")
        assert (await wire.hear())[2] == b"POST /? hi"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n", 426),
        (b"Sec-WebSocket-Version: 13\r\n", 400),
        (b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n", 400),
        (b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nContent-Length: 1\r\n", 400),
    ],
)
async def test_a_handshake_that_is_none_does_not_leave_http(fields: bytes, status: int) -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + fields + b"\r\n")
        assert int((await wire.hear())[0].split()[1]) == status
