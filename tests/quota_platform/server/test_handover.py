"""What comes over a link of one web process to another is a connection, or is declined."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from quota_platform.server.handover import MAX_BYTES, Parting, Receiving
from tests.patience import HANG_S

HEAD = struct.Struct("!4sI")


class Taker:
    """Takes connections over, or none."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.taken: list[tuple[socket.socket, bytes]] = []

    def __call__(self, connection: socket.socket, read: bytes) -> bool:
        if self.takes:
            self.taken.append((connection, read))
        return self.takes


async def received(taker: Taker, say: Callable[[socket.socket, socket.socket], Any]) -> bytes:
    """The reply over a link to a sender that then waits."""
    loop = asyncio.get_running_loop()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("")
    address = listening.getsockname()
    receiving = Receiving(loop, listening, taker)
    mine, theirs = socket.socketpair()
    with socket.socket(socket.AF_UNIX) as link, mine, theirs:
        link.connect(address)
        link.settimeout(HANG_S)
        await asyncio.to_thread(say, link, theirs)
        reply = await asyncio.to_thread(link.recv, 10)
    receiving.close()
    for connection, _ in taker.taken:
        connection.close()
    return reply


def bring(data: bytes) -> Callable[[socket.socket, socket.socket], None]:
    def say(link: socket.socket, connection: socket.socket) -> None:
        socket.send_fds(link, [data[:3]], [connection.fileno()])
        link.sendall(data[3:])

    return say


async def test_a_connection_in_our_format_is_taken_with_what_was_read_from_it() -> None:
    taker = Taker()
    assert await received(taker, bring(HEAD.pack(b"QHO1", 5) + b"hello")) == b"\1"
    assert [read for _, read in taker.taken] == [b"hello"]


async def test_a_taker_without_room_declines() -> None:
    assert await received(Taker(takes=False), bring(HEAD.pack(b"QHO1", 5) + b"hello")) == b"\0"


@pytest.mark.parametrize("head", [HEAD.pack(b"QHO2", 5), HEAD.pack(b"GET ", 5), HEAD.pack(b"QHO1", MAX_BYTES + 1)])
async def test_another_format_and_too_many_bytes_are_closed(head: bytes) -> None:
    taker = Taker()
    assert await received(taker, bring(head + b"hello")) == b""
    assert not taker.taken


async def test_a_message_without_a_connection_is_closed() -> None:
    taker = Taker()
    assert await received(taker, lambda link, _: link.sendall(HEAD.pack(b"QHO1", 5) + b"hello")) == b""
    assert not taker.taken


async def test_a_sender_that_ends_in_the_middle_brings_nothing() -> None:
    taker = Taker()

    def say(link: socket.socket, connection: socket.socket) -> None:
        bring(HEAD.pack(b"QHO1", 5) + b"he")(link, connection)
        link.shutdown(socket.SHUT_WR)

    assert await received(taker, say) == b""
    assert not taker.taken


@pytest.mark.parametrize(("reply", "taken"), [(b"\1", True), (b"\0", False), (b"", False), (b"?", False)])
async def test_a_connection_has_left_only_when_that_is_confirmed(reply: bytes, taken: bool) -> None:
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    connection, caller = socket.socketpair()
    here.setblocking(False)
    done: asyncio.Future[bool] = loop.create_future()
    with there, connection, caller:
        Parting(loop, here, fd=connection.fileno(), read=bytes(MAX_BYTES), done=done.set_result)
        size, copies = HEAD.size + MAX_BYTES, []
        while size:
            data, fds, _, _ = await asyncio.to_thread(socket.recv_fds, there, 65_536, 1)
            size -= len(data)
            copies += fds
        [copy] = copies
        socket.close(copy)
        there.sendall(reply)
        there.close()
        assert await done is taken
