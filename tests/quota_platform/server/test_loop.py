"""Who connects to a busy web process does not wait for as many turns of its loop as there are connections before."""

from __future__ import annotations

import asyncio
import resource
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quota_platform import roles
from quota_platform.server.guard import Guard
from quota_platform.server.http1 import Http1
from quota_platform.server.limits import Limits
from quota_platform.server.loop import REST_S, TAKEN_AT_ONCE, Loop, rest_s
from tests.patience import HANG_S
from tests.quota_platform.server.wire import echo, served

MANY = 100
TURNS = 10


class Greeter(asyncio.Protocol):
    """Greets each new connection."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()


def run(story: Callable[[Loop], Any]) -> Any:
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(story(runner.get_loop()))  # type: ignore[arg-type]


async def turns_until_all_are_in(loop: Loop, made: list[Greeter], connect: Callable[[], socket.socket]) -> int:
    """Of a loop that is kept by others for a while in each turn."""
    callers = [connect() for _ in range(MANY)]
    turns = 0
    while len(made) < MANY and turns < 2 * MANY:
        turns += 1
        await asyncio.sleep(0)
    for caller in callers:
        caller.settimeout(HANG_S)
        assert await asyncio.to_thread(caller.recv, 5) == b"hello"
        caller.close()
    return turns


def test_many_who_connect_at_once_are_let_in_within_a_few_turns() -> None:
    async def story(loop: Loop) -> int:
        made: list[Greeter] = []
        server = await loop.create_server(lambda: _noted(made), "127.0.0.1", 0, backlog=MANY)
        address = server.sockets[0].getsockname()
        turns = await turns_until_all_are_in(loop, made, lambda: socket.create_connection(address))
        server.close()
        await server.wait_closed()
        with pytest.raises(OSError):
            socket.create_connection(address)
        return turns

    assert run(story) < TURNS


def test_a_unix_socket_is_served_the_same_way() -> None:
    async def story(loop: Loop) -> int:
        made: list[Greeter] = []
        with tempfile.TemporaryDirectory() as directory:
            path = str(Path(directory) / "s")
            server = await loop.create_unix_server(lambda: _noted(made), path, backlog=MANY)

            def connect() -> socket.socket:
                caller = socket.socket(socket.AF_UNIX)
                caller.connect(path)
                return caller

            turns = await turns_until_all_are_in(loop, made, connect)
            server.close()
            await server.wait_closed()
            return turns

    assert run(story) < TURNS


class Counted(Http1):
    """Counts the connections that were made."""

    made = 0

    def connection_made(self, transport: Any) -> None:
        Counted.made += 1
        super().connection_made(transport)


def test_a_connection_that_is_not_admitted_gets_its_response_and_no_transport() -> None:
    async def story(loop: Loop) -> None:
        guard = Guard(Limits(max_connections_per_address=1))
        async with served(echo, protocol=Counted, guard=guard) as (connect, _):
            first = await connect()
            await first.say(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
            await first.hear()
            for _ in range(MANY):
                assert (await (await connect()).rest()).startswith(b"HTTP/1.1 429")
            first.hang_up()
            while guard.connections:
                await asyncio.sleep(0)
            second = await connect()
            await second.say(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await second.hear())[2] == b"GET /2? "
        assert guard.rejections == {"too-many-connections": MANY}

    Counted.made = 0
    run(story)
    assert Counted.made == 2


class Full(asyncio.Protocol):
    """Admits nobody."""

    turned_away = 0

    def turn_away(self, host: str) -> bytes:
        Full.turned_away += 1
        return b"full"


def test_a_flood_that_is_turned_away_waits_while_the_calls_have_their_turns() -> None:
    async def story(loop: Loop) -> None:
        server = await loop.create_server(Full, "127.0.0.1", 0, backlog=2 * TAKEN_AT_ONCE)
        address, door = server.sockets[0].getsockname(), server._doors[0]
        callers = [socket.create_connection(address) for _ in range(TAKEN_AT_ONCE + 1)]
        while not Full.turned_away:
            assert door._rest is None
            await asyncio.sleep(0)
        assert Full.turned_away == TAKEN_AT_ONCE
        assert door._rest is not None, "the next one waits"
        for caller in callers:
            caller.settimeout(HANG_S)
            assert await asyncio.to_thread(caller.recv, 4) == b"full"
            caller.close()
        server.close()

    Full.turned_away = 0
    run(story)


def test_turning_connections_away_takes_its_share_of_the_time_and_no_more() -> None:
    assert rest_s(0.002, turned_away=64, taken=64) == pytest.approx(0.018)
    assert rest_s(0.002, turned_away=32, taken=64) == pytest.approx(0.009), "those that are let in need no rest"
    assert rest_s(1.0, turned_away=64, taken=64) == REST_S, "no connection waits for longer"


def test_a_caller_who_is_turned_away_in_the_middle_of_a_request_reads_why() -> None:
    async def story(loop: Loop) -> bytes:
        async with served(echo, guard=Guard(Limits(max_connections=0))) as (connect, _):
            caller = await connect()
            await caller.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal")
            return await caller.rest()  # type: ignore[no-any-return]

    assert run(story).startswith(b"HTTP/1.1 503")


def test_a_seat_is_free_again_when_its_caller_has_gone_before_the_connection_was_made() -> None:
    async def story(loop: Loop) -> int:
        guard = Guard(Limits(max_connections=1))
        async with served(echo, guard=guard) as (connect, _):
            gone = await connect()
            gone.reset()
            while not guard.connections:
                await asyncio.sleep(0)
            while guard.connections:
                await asyncio.sleep(0)
        return guard.connections

    assert run(story) == 0


def test_a_process_that_may_open_no_more_files_takes_connections_when_it_may_again() -> None:
    async def story(loop: Loop) -> None:
        server = await loop.create_server(Greeter, "127.0.0.1", 0)
        caller = socket.socket()
        caller.settimeout(HANG_S)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (caller.fileno() + 1, hard))
        try:
            caller.connect(server.sockets[0].getsockname())
            while server._doors[0]._rest is None:  # it would try again at each turn
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert await asyncio.to_thread(caller.recv, 5) == b"hello"
        caller.close()
        server.close()

    run(story)


def _noted(made: list[Greeter]) -> Greeter:
    made.append(Greeter())
    return made[-1]


def test_the_web_role_runs_on_it() -> None:
    line = roles.web(workers=1, pages_workers=0)
    assert line[line.index("--loop") + 1] == "quota_platform.server.loop:Loop"
