"""What all callers of a process together, and each address, may hold."""

from __future__ import annotations

import asyncio
import logging

import pytest

from quota_platform.base.addresses import networks
from quota_platform.base.lean.problem import Problem
from quota_platform.server.guard import LOG_EVERY_S, Guard, Seat
from quota_platform.server.limits import Limits
from tests.quota_platform.server.wire import echo, served


def refused(guard: Guard, peer: str) -> int:
    """The status of the response; 0: it has its seat."""
    admitted = guard.admit(peer)
    return admitted.status if isinstance(admitted, Problem) else 0


def test_an_address_has_no_more_connections_than_it_may() -> None:
    guard = Guard(Limits(max_connections_per_address=2, trusted_proxies=networks("10.0.0.0/8")))
    seats = [
        guard.admit(peer) for peer in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", *["10.0.0.1"] * 5, *["unix"] * 5)
    ]
    assert refused(guard, "192.0.2.1") == 429
    first = seats[0]
    assert isinstance(first, Seat)
    first.release()
    first.release()
    assert refused(guard, "192.0.2.1") == 0
    assert guard.connections == 13


def test_the_addresses_of_one_ipv6_network_count_as_one() -> None:
    guard = Guard(Limits(max_connections_per_address=1))
    guard.admit("2001:db8::1")
    guard.admit("2001:db8:0:1::1")
    assert refused(guard, "2001:db8::2") == 429


def test_rejections_are_counted_and_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    guard = Guard(clock=lambda: now[0])
    problem = Problem(413, "body-too-large", "Too large.")
    with caplog.at_level(logging.WARNING):
        for at in (0.0, 1.0, 2.0, LOG_EVERY_S):
            now[0] = at
            guard.count(problem, peer="192.0.2.1")
    assert guard.status()["rejections"] == {"body-too-large": 4}
    assert caplog.messages == [
        "body-too-large: 1 rejected with 413, the last from 192.0.2.1",
        "body-too-large: 3 rejected with 413, the last from 192.0.2.1",
    ]


@pytest.mark.parametrize(
    ("limits", "status"), [(Limits(max_connections=1), b"503"), (Limits(max_connections_per_address=1), b"429")]
)
async def test_a_connection_too_many_is_answered_and_closed_and_a_place_that_is_left_is_free(
    limits: Limits, status: bytes
) -> None:
    async with served(echo, guard=(guard := Guard(limits))) as (connect, _):
        first = await connect()
        await first.say(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await first.hear()
        said = await (await connect()).rest()
        assert said.startswith(b"HTTP/1.1 " + status)
        first.hang_up()
        while guard.connections:
            await asyncio.sleep(0)
        third = await connect()
        await third.say(b"GET /3 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await third.hear())[2] == b"GET /3? "


async def test_bodies_that_arrive_have_a_bound_together() -> None:
    guard = Guard(Limits(max_arriving_bytes=1000))
    async with served(echo, guard=guard) as (connect, _):
        first, second = await connect(), await connect()
        for wire in (first, second):
            await wire.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + b"x" * 600)
            while not (guard.arriving_bytes or guard.rejections):
                await asyncio.sleep(0)
        assert (await second.hear())[0].startswith("HTTP/1.1 503 ")
        await first.say(b"x" * 401)
        assert (await first.hear())[0] == "HTTP/1.1 200 OK"
    assert guard.arriving_bytes == 0


async def test_a_websocket_keeps_the_seat_of_its_connection_until_it_ends() -> None:
    async def hold(scope: object, receive: object, send: object) -> None:
        await receive()  # type: ignore[operator]
        await send({"type": "websocket.accept"})  # type: ignore[operator]
        await receive()  # type: ignore[operator]

    async with served(hold, guard=(guard := Guard())) as (connect, _):
        wire = await connect()
        await wire.say(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        await wire.reader.readuntil(b"\r\n\r\n")
        assert guard.connections == 1
        wire.hang_up()
        while guard.connections:
            await asyncio.sleep(0)
