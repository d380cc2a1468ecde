"""What callers meet on the wire: framing, order, bounds, and a connection that ends when it should."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from quota_platform.server.asgi_call import WHOLE
from quota_platform.server.draining import DRAINING
from quota_platform.server.http1 import MOST_HEAD_BYTES, Http1

DATE = (b"date", b"Wed, 25 Nov 2026 05:00:00 GMT")


class Wire:
    """A caller that speaks bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer

    async def say(self, *data: bytes) -> None:
        for piece in data:
            self._writer.write(piece)
            await self._writer.drain()

    async def hear(self) -> tuple[str, dict[str, str], bytes]:
        """One answer: status line, headers, body as its length says."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = dict(entry.split(": ", 1) for entry in lines)
        return line, headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        return await self.reader.read()

    def hang_up(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def served(
    app: Any, *, protocol: type[Http1] = Http1, draining: bool = False, **settings: Any
) -> AsyncIterator[tuple[Any, ServerState]]:
    """``app`` behind our protocol; yields how to connect, and what the server shares."""
    state: dict[str, Any] = {"greeting": "hello"} | ({DRAINING: True} if draining else {})
    config = Config(app, proxy_headers=False, ws="websockets-sansio", **settings)
    config.load()
    shared = ServerState()
    shared.default_headers = [DATE]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config, shared, state), "127.0.0.1", 0)
    wires: list[Wire] = []

    async def connect() -> Wire:
        wires.append(Wire(*await asyncio.open_connection(*server.sockets[0].getsockname())))
        return wires[-1]

    try:
        yield connect, shared
    finally:
        for wire in wires:
            wire.hang_up()
        server.close()
        await server.wait_closed()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked, in one piece."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    said = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} {body.decode()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Said", b"yes")]})
    await send({"type": "http.response.body", "body": said})


async def pieces(scope: Any, receive: Any, send: Any) -> None:
    """Answers in three pieces, of which one is empty."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one", b"", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_calls_follow_each_other_on_one_connection() -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        for path in ("/a", "/b%20c"):
            await wire.say(f"POST {path}?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi".encode())
            line, headers, body = await wire.hear()
            assert (line, headers["x-said"], headers["date"]) == ("HTTP/1.1 200 OK", "yes", DATE[1].decode())
            assert body.decode() == f"POST {path.replace('%20', ' ')}?q=1 hi"


async def test_a_request_may_come_byte_by_byte() -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        request = b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        await wire.say(*(bytes([byte]) for byte in request))
        assert (await wire.hear())[2] == b"POST /slow? abc"


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    turn = asyncio.Event()

    async def first_waits(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/1":
            await turn.wait()
        await echo(scope, receive, send)

    async with served(first_waits) as (connect, _):
        wire = await connect()
        await wire.say(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in (1, 2, 3)))
        turn.set()
        assert [(await wire.hear())[2] for _ in range(3)] == [b"GET /1? ", b"GET /2? ", b"GET /3? "]


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
        answer = await wire.rest()
        assert sorted(answer.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]) == sorted(
            [b": ".join(DATE), *framed.split(b"\r\n\r\n", 1)[0].split(b"\r\n")]
        )
        assert answer.split(b"\r\n\r\n", 1)[1] == framed.split(b"\r\n\r\n", 1)[1]


@pytest.mark.parametrize("app", [echo, pieces])
async def test_head_is_answered_without_a_body(app: Any) -> None:
    async with served(app) as (connect, _):
        wire = await connect()
        await wire.say(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await wire.rest()).endswith(b"\r\n\r\n")


async def test_a_caller_that_asks_first_is_told_to_send() -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.say(b"hi")
        assert (await wire.hear())[2] == b"POST /? hi"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * MOST_HEAD_BYTES, b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * (MOST_HEAD_BYTES // 2) + b"\r\n", b"431"),
        (b"GET /" + b"a" * MOST_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", b"431"),
    ],
)
async def test_what_is_no_request_of_ours_is_refused_and_the_connection_closed(request_: bytes, status: bytes) -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(request_)
        head = await wire.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
        assert b"connection: close" in head


async def test_nonsense_behind_a_request_does_not_cost_it_its_answer() -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /good HTTP/1.1\r\nHost: x\r\n\r\nNONSENSE\r\n\r\n")
        answer = await wire.rest()
        assert answer.endswith(b"GET /good? ")
        assert b"connection: close" in answer


async def test_a_body_that_breaks_off_its_framing_ends_the_call() -> None:
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            pass
        heard.set_result(message["type"])

    async with served(listen) as (connect, _):
        wire = await connect()
        await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert await heard == "http.disconnect"
        assert await wire.rest() == b""


class Hasty(Http1):
    """Has no patience, and notes when it looked at its clock."""

    head_s = stalled_s = 0.01
    looked: ClassVar[list[Http1]] = []

    def _look(self) -> None:
        super()._look()
        self.looked.append(self)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_a_connection_nothing_comes_over_is_closed(begun: bytes) -> None:
    async with served(echo, protocol=Hasty, timeout_keep_alive=0) as (connect, shared):
        wire = await connect()
        await wire.say(begun)
        await wire.rest()
        assert not shared.connections


async def test_a_call_that_takes_long_is_not_hurried() -> None:
    Hasty.looked.clear()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        while len(Hasty.looked) < 5:
            await asyncio.sleep(0)
        await echo(scope, receive, send)

    async with served(slow, protocol=Hasty, timeout_keep_alive=60) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /done HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.hear())[2] == b"GET /done? "


async def test_a_caller_that_does_not_read_its_answer_is_let_go() -> None:
    ended = asyncio.Event()

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not scope["extensions"][WHOLE].gone:
            await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        ended.set()

    async with served(flood, protocol=Hasty) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await ended.wait()


async def test_who_waits_for_the_caller_hears_that_it_hung_up() -> None:
    arrived, heard = asyncio.Event(), asyncio.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        arrived.set()
        assert (await receive())["type"] == "http.disconnect"
        heard.set()

    async with served(wait) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await arrived.wait()
        wire.hang_up()
        await heard.wait()


async def broken(scope: Any, receive: Any, send: Any) -> None:
    raise ZeroDivisionError


async def split(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nset-cookie: b")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("app", [broken, split])
async def test_an_application_that_fails_is_answered_for(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with served(app) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /here HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await wire.rest()
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"set-cookie" not in answer
    assert "the application failed on GET /here" in caplog.text


async def test_an_answer_that_breaks_off_is_not_ended(caplog: pytest.LogCaptureFixture) -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": False})

    async with served(half) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await wire.hear()


async def test_the_whole_answer_goes_the_short_way() -> None:
    async def short(scope: Any, receive: Any, send: Any) -> None:
        call = scope["extensions"][WHOLE]
        await call.answer(429, b"\r\nx-greeting: " + scope["state"]["greeting"].encode(), call.whole_body())

    async with served(short) as (connect, _):
        wire = await connect()
        await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
        line, headers, body = await wire.hear()
        assert (line, headers["x-greeting"], body) == ("HTTP/1.1 429 Too Many Requests", "hello", b"body")


async def test_a_body_under_way_is_not_at_hand() -> None:
    asked = asyncio.Event()

    async def short(scope: Any, receive: Any, send: Any) -> None:
        assert scope["extensions"][WHOLE].whole_body() is None
        asked.set()
        await echo(scope, receive, send)

    async with served(short) as (connect, _):
        wire = await connect()
        await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        await asked.wait()
        await wire.say(b"dy")
        assert (await wire.hear())[2] == b"POST /? body"


async def test_a_server_that_stops_ends_idle_connections_and_lets_calls_end() -> None:
    turn = asyncio.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await turn.wait()
        await echo(scope, receive, send)

    async with served(wait) as (connect, shared):
        idle, busy = await connect(), await connect()
        await busy.say(b"GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
        while not shared.tasks:
            await asyncio.sleep(0)
        for connection in list(shared.connections):
            connection.shutdown()
        assert await idle.rest() == b""
        turn.set()
        answer = await busy.rest()
        assert answer.endswith(b"GET /last? ")
        assert b"connection: close" in answer
        assert not shared.tasks


async def test_a_server_that_stops_answers_a_request_that_lies_in_the_socket() -> None:
    async with served(echo) as (connect, shared):
        wire = await connect()
        await wire.say(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
        await wire.hear()
        await wire.say(b"GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in list(shared.connections):
            connection.shutdown()
        line, headers, body = await wire.hear()
        assert (line, headers["connection"], body) == ("HTTP/1.1 200 OK", "close", b"GET /last? ")


class Brisk(Http1):
    """Hears an idle caller no longer once the server stops."""

    linger_s = 0


async def test_a_server_that_stops_reads_a_request_to_its_end() -> None:
    async with served(echo, protocol=Brisk) as (connect, shared):
        wire = await connect()
        await wire.say(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /last HTTP/1.1\r\n")
        await wire.hear()
        for connection in list(shared.connections):
            connection.shutdown()
        for _ in range(3):
            await asyncio.sleep(0)  # what was to happen at once has happened
        await wire.say(b"Host: x\r\n\r\n")
        assert (await wire.rest()).endswith(b"GET /last? ")


async def test_a_server_that_drains_takes_each_callers_leave_with_an_answer() -> None:
    async with served(echo, draining=True) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /only HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"connection: close" in await wire.rest()


async def test_a_websocket_is_handed_over() -> None:
    async def greet(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": f"{scope['path']} {scope['state']['greeting']}"})
        await send({"type": "websocket.close"})

    async with served(greet) as (connect, _):
        wire = await connect()
        await wire.say(
            b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert (await wire.reader.readexactly(13))[2:] == b"/live hello"


async def test_another_upgrade_is_ignored() -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /plain HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert (await wire.rest()).endswith(b"GET /plain? ")
