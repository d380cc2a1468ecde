"""A connection goes to the process that its next request belongs to, with all that was sent over it, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from quota_platform.server.guard import Guard
from quota_platform.server.limits import Limits
from quota_platform.server.loop import Loop
from quota_platform.server.moving import MovingHttp1
from quota_platform.server.neighbours import AbstractNames, Group, Neighbours
from tests.patience import HANG_S, eventually
from tests.quota_platform.server.wire import Wire, served

CALL = b"GET /invoke/a HTTP/1.1\r\nHost: x\r\n\r\n"
PAGE = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
BIG = 8_000_000


@dataclass
class Family:
    """The processes of one server; both in this one."""

    names: AbstractNames = field(default_factory=lambda: AbstractNames(secrets.token_bytes(32)))
    guards: dict[Group, Guard] = field(default_factory=lambda: {group: Guard() for group in Group})
    shared: dict[Group, Any] = field(default_factory=dict)
    connect: Callable[[], Awaitable[Wire]] = None  # type: ignore[assignment]

    @contextlib.asynccontextmanager
    async def process(self, *, pages: int = 1) -> AsyncIterator[Neighbours]:
        """The next one: that for pages first. Callers come to the last one."""
        sizes = {Group.PAGES: pages, Group.CALLS: 1}
        made = Neighbours(self.names, sizes=sizes, call_prefixes=("/invoke/",))
        guard, application = self.guards[made.group], named(made.group)
        async with served(application, protocol=MovingHttp1, guard=guard, neighbours=made) as (connect, shared):
            self.shared[made.group] = shared
            if made.group is Group.CALLS:
                self.connect = connect
            yield made

    @contextlib.asynccontextmanager
    async def complete(self) -> AsyncIterator[Wire]:
        async with self.process(), self.process():
            yield await self.connect()


def named(group: Group) -> Any:
    """Responds with the name of its process, the request, and the address of the caller."""

    async def respond(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": group})
            await receive()
            return
        body = (await receive())["body"]
        said = f"{group} {scope['method']} {scope['path']} {len(body)} {scope['client'][1]}".encode()
        if scope["path"].endswith("/big"):
            said = bytes(BIG)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": said})

    return respond


def run(story: Callable[[], Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(HANG_S):
            await story()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(bounded())


async def heard(wire: Wire, *requests: bytes) -> list[list[str]]:
    """The responses to these requests, sent at once: process, method, path, bytes of the body, port of the caller."""
    await wire.say(b"".join(requests))
    return [(await wire.hear())[2].decode().split() for _ in requests]


async def process_of(wire: Wire, request: bytes) -> str:
    [[process, *_]] = await heard(wire, request)
    return process


def test_each_request_of_a_connection_is_served_by_the_process_that_it_belongs_to() -> None:
    async def story() -> None:
        async with Family().complete() as wire:
            port = str(wire.port)
            for request, process in (
                (CALL, "calls"),
                (PAGE, "pages"),
                (PAGE, "pages"),
                (CALL, "calls"),
                (PAGE, "pages"),
            ):
                [[served_by, *_, caller]] = await heard(wire, request)
                assert (served_by, caller) == (process, port)

    run(story)


def test_a_head_that_comes_byte_by_byte_moves_whole() -> None:
    async def story() -> None:
        async with Family().complete() as wire:
            await wire.say(*(bytes([byte]) for byte in PAGE))
            assert (await wire.hear())[2].startswith(b"pages GET /page 0 ")

    run(story)


@pytest.mark.parametrize("size", [10, 70_000, 1_000_000])
def test_a_body_that_has_begun_to_arrive_moves_with_its_head(size: int) -> None:
    async def story() -> None:
        async with Family().complete() as wire:
            head = b"POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
            said = head + bytes(size)
            cut = len(head) + size // 2
            for pieces in ([said], [said[:cut], said[cut:]], [head, said[len(head) :]]):
                await wire.say(*pieces)
                assert (await wire.hear())[2].startswith(b"pages POST /page %d " % size)

    run(story)


def test_a_caller_that_waits_to_be_asked_for_its_body_is_asked_by_the_process_that_serves_it() -> None:
    async def story() -> None:
        async with Family().complete() as wire:
            await wire.say(b"POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await wire.say(b"hi")
            assert (await wire.hear())[2].startswith(b"pages POST /page 2 ")

    run(story)


def test_a_websocket_is_served_by_the_process_for_pages() -> None:
    async def story() -> None:
        async with Family().complete() as wire:
            await wire.say(HANDSHAKE)
            assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await wire.reader.readexactly(7) == b"\x81\x05pages"

    run(story)


@pytest.mark.parametrize("asked", ["cp", "pc", "cpc", "pcp", "ppcc", "ccpp"])
def test_requests_that_are_sent_ahead_are_all_answered_and_in_their_order(asked: str) -> None:
    async def story() -> None:
        async with Family().complete() as wire:
            requests = [CALL if letter == "c" else PAGE for letter in asked]
            paths = [path for _, _, path, *_ in await heard(wire, *requests)]
            assert paths == ["/invoke/a" if letter == "c" else "/page" for letter in asked]
            assert await process_of(wire, PAGE) == "pages"
            assert await process_of(wire, CALL) == "calls"

    run(story)


def test_an_upgrade_that_is_ignored_is_read_once_wherever_it_is_served() -> None:
    async def story() -> None:
        asks = PAGE[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        async with Family().complete() as wire:
            assert await process_of(wire, asks) == "pages"
        family = Family()
        family.guards[Group.PAGES] = Guard(Limits(max_connections=0))
        async with family.complete() as wire:
            assert await process_of(wire, asks) == "calls"

    run(story)


def test_a_connection_counts_where_it_is_and_nowhere_else() -> None:
    async def story() -> None:
        family = Family()

        def counts() -> list[int]:
            return [family.guards[group].connections for group in (Group.CALLS, Group.PAGES)]

        async def they_are(*expected: int) -> None:
            async def look() -> bool:
                return counts() == list(expected)

            await eventually(look, what=f"connections {expected}")

        async with family.complete() as wire:
            assert await process_of(wire, CALL) == "calls"
            await they_are(1, 0)
            assert await process_of(wire, PAGE) == "pages"
            await they_are(0, 1)
            assert not family.shared[Group.CALLS].connections
            wire.hang_up()
            await they_are(0, 0)
        assert not any(guard.rejections for guard in family.guards.values())

    run(story)


def test_without_a_process_for_pages_the_one_for_calls_serves_them_until_there_is_one() -> None:
    async def story() -> None:
        family = Family()
        with place(family, "pages-0") as taken:
            async with family.process() as calls:
                assert calls.group is Group.CALLS
                taken.close()
                wire = await family.connect()
                assert await process_of(wire, PAGE) == "calls"
                async with family.process() as pages:
                    assert pages.group is Group.PAGES
                    assert await process_of(wire, PAGE) == "pages"
                assert await process_of(await family.connect(), PAGE) == "calls"

    run(story)


@contextlib.contextmanager
def place(family: Family, name: str, *, backlog: int = 8) -> Any:
    """Somebody has this place, and takes nothing over."""
    with socket.socket(socket.AF_UNIX) as link:
        assert family.names.take(name, link)
        link.listen(backlog)
        yield link


def test_a_process_that_ends_before_it_has_taken_a_connection_over_loses_no_request() -> None:
    async def story() -> None:
        family = Family()
        with place(family, "pages-0") as frozen:
            async with family.process():
                wire = await family.connect()
                await wire.say(PAGE)
                link, _ = await asyncio.to_thread(frozen.accept)
                assert not family.shared[Group.CALLS].total_requests, "it waits"
                link.close()
                assert (await wire.hear())[2].startswith(b"calls GET /page")

    run(story)


def test_a_caller_who_leaves_before_the_connection_has_moved_leaves_nothing_behind() -> None:
    async def story() -> None:
        family = Family()
        with place(family, "pages-0") as frozen:
            async with family.process():
                wire = await family.connect()
                await wire.say(PAGE)
                link, _ = await asyncio.to_thread(frozen.accept)
                for connection in list(family.shared[Group.CALLS].connections):
                    connection.transport.abort()
                _, [copy], *_ = socket.recv_fds(link, 1000, 1)
                socket.close(copy)
                assert await asyncio.to_thread(link.recv, 1) == b"", "the link is closed"
                link.close()
        assert not family.guards[Group.CALLS].connections

    run(story)


def test_a_process_for_pages_that_is_full_declines_and_rejects_nothing() -> None:
    async def story() -> None:
        family = Family()
        family.guards[Group.PAGES] = Guard(Limits(max_connections=0))
        async with family.complete() as wire:
            assert await process_of(wire, PAGE) == "calls"
            assert await process_of(wire, CALL) == "calls"
        assert not family.guards[Group.PAGES].rejections

    run(story)


def test_a_connection_whose_last_response_is_not_read_yet_stays() -> None:
    async def story() -> None:
        family = Family()
        async with family.complete() as wire:
            await wire.say(b"GET /invoke/big HTTP/1.1\r\nHost: x\r\n\r\n")

            async def answered() -> bool:
                return bool(family.shared[Group.CALLS].total_requests)

            await eventually(answered, what="the whole response on its way")
            await wire.say(PAGE)
            assert (await wire.hear())[2] == bytes(BIG)
            assert (await wire.hear())[2].startswith(b"calls GET /page")
            assert await process_of(wire, PAGE) == "pages"

    run(story)


def test_a_head_that_cannot_be_read_is_rejected_where_it_came() -> None:
    async def story() -> None:
        family = Family()
        async with family.complete() as wire:
            await wire.say(b"GET /page HTTP/1.1\r\nHost: a b\r\n\r\n")
            assert (await wire.hear())[0].startswith("HTTP/1.1 400")
        assert family.guards[Group.CALLS].rejections == {"request-malformed": 1}

    run(story)


def test_a_connection_that_ended_or_moved_leaves_nothing_for_the_collector() -> None:
    async def story() -> None:
        family = Family()
        async with family.complete() as wire:
            seen: list[weakref.ref[Any]] = []

            def look() -> None:
                seen.extend(weakref.ref(each) for shared in family.shared.values() for each in shared.connections)

            for request in (CALL, PAGE, CALL):
                await process_of(wire, request)
                look()
            other = await family.connect()
            await other.say(HANDSHAKE)
            await other.reader.readuntil(b"\r\n\r\n")
            assert len(seen) == 3
            for each in (wire, other):
                each.hang_up()

            async def gone() -> bool:
                return all(connection() is None for connection in seen)

            await eventually(gone, what="the connections to be freed")

    gc.disable()
    try:
        run(story)
    finally:
        gc.enable()


def test_the_limit_of_connections_of_an_address_holds_where_they_come_to() -> None:
    async def story() -> None:
        family = Family()
        family.guards[Group.PAGES] = Guard(Limits(max_connections_per_address=1))
        async with family.complete() as first:
            assert await process_of(first, PAGE) == "pages"
            second = await family.connect()
            assert await process_of(second, PAGE) == "calls"
            first.hang_up()

            async def free() -> bool:
                return not family.guards[Group.PAGES].connections

            await eventually(free, what="a seat")
            assert await process_of(second, PAGE) == "pages"

    run(story)


def test_with_several_processes_for_pages_one_of_them_serves_each_page() -> None:
    async def story() -> None:
        family = Family()
        async with family.process(pages=2), family.process(pages=2), family.process(pages=2):
            wires = [await family.connect() for _ in range(4)]
            for wire in wires:
                assert await process_of(wire, PAGE) == "pages"

    run(story)
