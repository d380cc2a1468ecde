"""Who connects to a busy web process does not wait for as many turns of its loop as there are connections before."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quota_platform import roles
from quota_platform.server.loop import Loop
from tests.patience import HANG_S

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


def _noted(made: list[Greeter]) -> Greeter:
    made.append(Greeter())
    return made[-1]


def test_the_web_role_runs_on_it() -> None:
    line = roles.web(workers=1)
    assert line[line.index("--loop") + 1] == "quota_platform.server.loop:Loop"
