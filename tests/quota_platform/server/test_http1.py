"""What callers meet on a connection: order, framing, and an end when it should come."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from quota_platform.server.asgi_call import WHOLE
from quota_platform.server.guard import Guard
from quota_platform.server.http1 import SLICE_BYTES, Http1
from quota_platform.server.limits import Limits
from tests.patience import HANG_S, eventually
from tests.quota_platform.server.wire import DATE, echo, served


async def unreachable(scope: Any, receive: Any, send: Any) -> None:
    """Must not be asked."""
    raise AssertionError(f"{scope['path']} was handed on")


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


HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"


def hasty(
    *, head_s: float = HANG_S, body_s: float = HANG_S, keep_alive_s: float = HANG_S, stalled_s: float = HANG_S
) -> Limits:
    """No patience for one thing, and all of it for the others: a busy machine may be late with those."""
    return Limits(head_s=head_s, body_s=body_s, keep_alive_s=keep_alive_s, stalled_s=stalled_s)


async def test_a_connection_nothing_comes_over_is_closed() -> None:
    async with served(echo, limits=hasty(head_s=0.01)) as (connect, shared):
        wire = await connect()
        assert await wire.rest() == b""
        assert not shared.connections


async def test_a_connection_that_rests_for_too_long_is_closed() -> None:
    async with served(echo, limits=hasty(keep_alive_s=0.01)) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.rest()).endswith(b"GET /a? ")


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nHo", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"])
async def test_a_head_that_does_not_arrive_is_408(begun: bytes) -> None:
    guard = Guard(hasty(head_s=0.01))
    async with served(echo, guard=guard) as (connect, _):

        async def refused() -> bytes:
            wire = await connect()
            with suppress(ConnectionError):  # a slow machine sends this when the connection is closed already
                await wire.say(begun)
                return bytes(await wire.rest())
            return b""

        response = await eventually(refused, what="a head that begins in time")
        assert b"HTTP/1.1 408 Request Timeout\r\n" in response
    assert guard.rejections == {"head-too-slow": 1}


BODIES = [
    b"Content-Length: 10\r\n\r\n12345",
    b"Content-Length: 10\r\nExpect: 100-Continue\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\nX: ",
    b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 10\r\n\r\n12345",
]


@pytest.mark.parametrize("path", [b"/admin/login/", b"/static/nothing", b"/nothing", b"/invoke/a"])
@pytest.mark.parametrize("body", BODIES)
async def test_a_body_that_does_not_arrive_is_408_wherever_it_goes(path: bytes, body: bytes) -> None:
    guard = Guard(hasty(body_s=0.01))
    async with served(unreachable, guard=guard) as (connect, shared):
        wire = await connect()
        await wire.say(b"POST %b HTTP/1.1\r\nHost: x\r\n" % path + body)
        said = await wire.rest()
        assert b"HTTP/1.1 408 Request Timeout\r\n" in said
        assert b"connection: close" in said
        assert not shared.tasks
    assert guard.rejections == {"body-too-slow": 1}
    assert guard.arriving_bytes == 0


async def test_a_body_that_comes_ahead_keeps_its_deadline_while_a_call_runs() -> None:
    guard, turn = Guard(hasty(body_s=0.01)), asyncio.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await turn.wait()
        await echo(scope, receive, send)

    async with served(wait, guard=guard) as (connect, _):
        wire = await connect()
        await wire.say(
            b"GET /first HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"
        )
        while not guard.rejections:
            await asyncio.sleep(0)
        turn.set()
        said = await wire.rest()
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"GET /first? HTTP/1.1 408 " in said


async def test_a_call_that_takes_long_is_not_hurried() -> None:
    limits = hasty(body_s=0.01, keep_alive_s=0.01)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 5 * limits.body_s:
            await asyncio.sleep(0)
        await echo(scope, receive, send)

    async with served(slow, limits=limits) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /done HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.hear())[2] == b"GET /done? "


async def test_a_caller_that_does_not_read_its_response_is_disconnected() -> None:
    ended = asyncio.Event()

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not scope["extensions"][WHOLE].gone:
            await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        ended.set()

    async with served(flood, limits=hasty(stalled_s=0.01)) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await ended.wait()


async def test_an_application_that_waits_for_the_caller_hears_that_it_reset() -> None:
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
        wire.reset()
        await heard.wait()


async def test_a_caller_that_half_closes_gets_its_response() -> None:
    turn = asyncio.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await turn.wait()
        await echo(scope, receive, send)

    async with served(wait) as (connect, shared):
        wire = await connect()
        await wire.say(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.end()
        while not shared.tasks:
            await asyncio.sleep(0)
        [connection] = shared.connections
        while isinstance(connection, Http1) and not connection.half_closed:
            await asyncio.sleep(0)
        turn.set()
        said = await wire.rest()
        assert said.endswith(b"GET /1? ")
        assert not shared.connections


@pytest.mark.parametrize(
    "begun", [b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"]
)
async def test_a_request_that_ends_in_the_middle_is_400(begun: bytes) -> None:
    async with served(unreachable) as (connect, _):
        wire = await connect()
        await wire.say(begun)
        wire.end()
        assert (await wire.rest()).startswith(b"HTTP/1.1 400 ")


async def test_a_caller_that_ends_in_the_middle_of_its_response_is_gone() -> None:
    begun, heard = asyncio.Event(), asyncio.Event()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        begun.set()
        assert (await receive())["type"] == "http.disconnect"
        heard.set()

    async with served(stream) as (connect, _):
        wire = await connect()
        await wire.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await begun.wait()
        wire.end()
        await heard.wait()


async def test_nonsense_behind_requests_is_answered_after_them() -> None:
    async with served(echo) as (connect, _):
        wire = await connect()
        await wire.say(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nNONSENSE\r\n\r\n")
        said = await wire.rest()
        assert said.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"GET /1? HTTP/1.1 200 OK\r\n" in said
        assert b"GET /2? HTTP/1.1 400 Bad Request\r\n" in said


async def test_many_requests_sent_ahead_are_answered_and_never_all_held() -> None:
    held: list[int] = []

    async def count(scope: Any, receive: Any, send: Any) -> None:
        [connection] = shared.connections
        held.append(len(connection._queue))  # type: ignore[union-attr]
        await echo(scope, receive, send)

    async with served(count) as (connect, shared):
        wire = await connect()
        one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        sent = asyncio.create_task(wire.say(one * 20_000))
        for _ in range(20_000):
            assert (await wire.hear())[0] == "HTTP/1.1 200 OK"
        await sent
    assert max(held) <= SLICE_BYTES // len(one) + 1


async def test_a_rejected_caller_that_goes_on_sending_hears_why() -> None:
    async with served(unreachable) as (connect, _):
        wire = await connect()
        await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n", b"x" * 500_000)
        assert (await wire.rest()).startswith(b"HTTP/1.1 413 ")


async def test_a_rejected_caller_that_never_stops_sending_is_cut_off() -> None:
    async with served(unreachable) as (connect, shared):
        wire = await connect()
        await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        with pytest.raises(ConnectionError):
            while True:
                await wire.say(b"x" * 100_000)
        while shared.connections:
            await asyncio.sleep(0)


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
        response = await busy.rest()
        assert response.endswith(b"GET /last? ")
        assert b"connection: close" in response
        assert not shared.tasks


async def test_a_server_that_stops_serves_a_request_that_lies_in_the_socket() -> None:
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
            await asyncio.sleep(0)  # an immediate effect has happened by now
        await wire.say(b"Host: x\r\n\r\n")
        assert (await wire.rest()).endswith(b"GET /last? ")


async def test_a_server_that_drains_ends_each_connection_with_a_response() -> None:
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
