"""Whose a connection is, how long it is kept, and what makes it unfit for another request."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from limiter.upstream.conduct import KeepAlive, OriginConduct, origin_of
from limiter.upstream.errors import OutcomeUnknown, Unreachable
from limiter.upstream.exchange import Exchange, Patience, UpstreamRequest
from limiter.upstream.wire import BrokenResponse, Wire
from tests.limiter.upstream.test_exchange import Anywhere
from tests.patience import HANG_S, eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KEPT = KeepAlive(idle_s=60, watched_s=60, proven_after=0)


class Upstream:
    """A listening socket; a test takes its connections and handles each as it likes."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self.url = URL(f"http://127.0.0.1:{self._listening.getsockname()[1]}/x")
        self._accepted: list[socket.socket] = []

    async def accept(self) -> socket.socket:
        """The next connection, once its request is there."""
        async with asyncio.timeout(HANG_S):
            connection, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        connection.setblocking(False)
        self._accepted.append(connection)
        return connection

    async def heard(self, connection: socket.socket) -> bytes:
        """What came over it, its body included; b"" when it was closed."""
        async with asyncio.timeout(HANG_S):
            got = b""
            while not got.endswith(b"\r\n\r\n{}"):
                try:
                    part = await asyncio.get_running_loop().sock_recv(connection, 65_536)
                except ConnectionError:
                    return b""
                if not part:
                    return b""
                got += part
            return got

    def has_another(self) -> bool:
        """A connection waits to be accepted."""
        try:
            self._accepted.append(self._listening.accept()[0])
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        for each in [self._listening, *self._accepted]:
            each.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@asynccontextmanager
async def exchange(*, pool_size: int = 10, keep_alive: KeepAlive = KEPT) -> AsyncIterator[Exchange]:
    made = Exchange(pinned=Anywhere(), pool_size=pool_size, keep_alive=keep_alive)
    try:
        yield made
    finally:
        await made.close()


def call(upstream: Upstream, tenant: str = "acme", *, seconds: float = HANG_S, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest(
        tenant,
        origin_of(upstream.url),
        "POST",
        upstream.url,
        {},
        body,
        Patience(total=seconds, connect=seconds),
        1_000_000,
    )


async def served(made: Exchange, upstream: Upstream, tenant: str = "acme") -> socket.socket:
    """Make a call over a connection of its own, and return the upstream's end of it."""
    under_way = asyncio.ensure_future(made.send(call(upstream, tenant)))
    connection = await upstream.accept()
    await upstream.heard(connection)
    connection.send(OK)
    assert (await under_way).body == b"ok"
    return connection


async def again(made: Exchange, upstream: Upstream, connection: socket.socket, tenant: str = "acme") -> bytes:
    """Make a call that is expected on this connection, and return what came over it."""
    under_way = asyncio.ensure_future(made.send(call(upstream, tenant)))
    heard = await upstream.heard(connection)
    connection.send(OK)
    assert (await under_way).body == b"ok"
    return heard


def seen(true: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return true()

    return look


def conduct(made: Exchange, upstream: Upstream) -> OriginConduct:
    return made.conduct(origin_of(upstream.url))


async def test_a_connection_is_used_again_by_its_own_tenant_only(upstream: Upstream) -> None:
    async with exchange() as made:
        acmes = await served(made, upstream, "acme")
        globexs = await served(made, upstream, "globex")
        assert await again(made, upstream, acmes, "acme") and await again(made, upstream, globexs, "globex")
        assert not upstream.has_another()


async def test_a_call_that_waits_for_room_gets_no_other_tenants_connection(upstream: Upstream) -> None:
    async with exchange(pool_size=1) as made:
        first = asyncio.ensure_future(made.send(call(upstream, "acme")))
        acmes = await upstream.accept()
        await upstream.heard(acmes)
        waiting = asyncio.ensure_future(made.send(call(upstream, "globex")))
        await asyncio.sleep(0)
        acmes.send(OK)
        await first
        globexs = await upstream.accept()
        assert await upstream.heard(globexs)
        globexs.send(OK)
        assert (await waiting).body == b"ok"
        assert await upstream.heard(acmes) == b""


async def test_the_connection_longest_at_rest_makes_room_for_another_tenants(upstream: Upstream) -> None:
    async with exchange(pool_size=3) as made:
        ends = {tenant: await served(made, upstream, tenant) for tenant in ("a", "b", "c")}
        await again(made, upstream, ends["a"], "a")
        await served(made, upstream, "d")
        assert made.pool[:2] == (3, 3)
        assert await upstream.heard(ends["b"]) == b""
        await again(made, upstream, ends["a"], "a")
        await again(made, upstream, ends["c"], "c")


async def test_an_idle_connection_leaves_after_its_time(upstream: Upstream) -> None:
    async with exchange(keep_alive=KeepAlive(idle_s=0.02, watched_s=0.01, proven_after=0)) as made:
        left = await served(made, upstream)
        assert await upstream.heard(left) == b""
        assert made.pool[:2] == (0, 0) and conduct(made, upstream).ended_idle == 0


async def test_the_end_of_an_idle_connection_is_counted_and_held_against_nobody(upstream: Upstream) -> None:
    async with exchange() as made:
        (await served(made, upstream)).close()
        await eventually(seen(lambda: made.pool[:2] == (0, 0)), what="the connection's end")
        assert (conduct(made, upstream).ended_idle, conduct(made, upstream).unsolicited) == (1, 0)
        assert conduct(made, upstream).keeps


async def test_bytes_on_an_idle_connection_end_those_of_the_whole_origin(upstream: Upstream) -> None:
    async with exchange() as made:
        acmes = await served(made, upstream, "acme")
        globexs = await served(made, upstream, "globex")
        acmes.send(b"H")
        assert await upstream.heard(globexs) == b"" and made.pool[:2] == (0, 0)
        assert conduct(made, upstream).unsolicited == 1
        assert conduct(made, upstream).reason == "it sent bytes on an idle connection"
        assert not conduct(made, upstream).keeps


async def test_an_origin_that_spoke_unasked_is_used_without_keep_alive(upstream: Upstream) -> None:
    async with exchange() as made:
        (await served(made, upstream)).send(OK)
        await eventually(seen(lambda: conduct(made, upstream).unsolicited == 1), what="the connection's end")
        for _ in range(2):
            under_way = asyncio.ensure_future(made.send(call(upstream)))
            connection = await upstream.accept()
            assert b"\r\nConnection: close\r\n" in await upstream.heard(connection)
            connection.send(OK)
            await under_way


async def test_a_response_that_came_before_its_request_is_not_taken_for_one(upstream: Upstream) -> None:
    """It lies in the kernel when the connection is taken out: nothing is awaited, so the loop cannot have read it."""
    async with exchange() as made:
        first = await served(made, upstream)
        first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstray!")
        under_way = made.send(call(upstream))
        second = asyncio.ensure_future(_answered(upstream))
        assert (await under_way).body == b"ok"
        await second
        await eventually(seen(lambda: conduct(made, upstream).unsolicited == 1), what="the connection's end")


async def _answered(upstream: Upstream) -> None:
    connection = await upstream.accept()
    await upstream.heard(connection)
    connection.send(OK)


@pytest.mark.parametrize(
    "more",
    [OK, b"<html>", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"\0"],
    ids=["second answer", "no HTTP", "farewell", "one byte"],
)
async def test_bytes_behind_a_response_end_its_connection_before_another_request(
    upstream: Upstream, more: bytes
) -> None:
    async with exchange() as made:
        under_way = asyncio.ensure_future(made.send(call(upstream)))
        connection = await upstream.accept()
        await upstream.heard(connection)
        connection.send(OK + more)
        assert (await under_way).body == b"ok"
        assert made.pool[:2] == (0, 0) and conduct(made, upstream).unsolicited == 1
        assert conduct(made, upstream).reason == "it sent more than one response to a request"


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"])
@pytest.mark.parametrize("more", [b"\r\n", b"\n", b"\r\n\r\n"])
async def test_line_breaks_behind_a_response_end_its_connection_and_are_held_against_nobody(
    upstream: Upstream, answer: bytes, more: bytes
) -> None:
    async with exchange() as made:
        under_way = asyncio.ensure_future(made.send(call(upstream)))
        connection = await upstream.accept()
        await upstream.heard(connection)
        connection.send(answer + more)
        assert (await under_way).body == b"ok"
        await served(made, upstream)
        assert conduct(made, upstream).unsolicited == 0


async def test_an_upstream_that_speaks_before_it_is_asked_is_asked_nothing(upstream: Upstream) -> None:
    async with exchange() as made:
        under_way = asyncio.ensure_future(made.send(call(upstream)))
        connection = await upstream.accept()
        connection.send(b"220 mail.example ESMTP\r\n")
        with pytest.raises((Unreachable, OutcomeUnknown)):
            await under_way


async def test_an_origin_proves_itself_by_connections_that_stay_silent(upstream: Upstream) -> None:
    rules = KeepAlive(idle_s=60, watched_s=0.01, proven_after=2)
    async with exchange(keep_alive=rules) as made:
        for _ in range(2):
            assert await upstream.heard(await served(made, upstream)) == b""
        kept = await served(made, upstream)
        assert await again(made, upstream, kept)


async def test_an_origin_proves_itself_in_a_small_pool_too(upstream: Upstream) -> None:
    """New connections do not push out those that have been watched for longer."""
    async with exchange(pool_size=2, keep_alive=KeepAlive(watched_s=60, proven_after=1)) as made:
        watched = await served(made, upstream)
        for _ in range(3):
            assert await upstream.heard(await served(made, upstream)) == b""
        assert made.pool[:2] == (1, 1)
        with pytest.raises(BlockingIOError):
            watched.recv(1)


async def test_a_connection_that_speaks_while_it_is_watched_proves_nothing(upstream: Upstream) -> None:
    async with exchange(keep_alive=KeepAlive(watched_s=60, proven_after=1)) as made:
        (await served(made, upstream)).send(b"HTTP/1.1 ")
        await eventually(seen(lambda: conduct(made, upstream).unsolicited == 1), what="the connection's end")
        assert conduct(made, upstream).silent == 0 and made.pool[:2] == (0, 0)


async def test_an_early_response_to_a_request_counts_and_ends_the_connection(upstream: Upstream) -> None:
    """The upstream refuses a body that it has not read: more of it waits here than the sockets between take."""
    async with exchange() as made:
        under_way = asyncio.ensure_future(made.send(call(upstream, body=b"x" * 30_000_000)))
        connection = await upstream.accept()
        await asyncio.get_running_loop().sock_recv(connection, 100)
        connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        answer = await under_way
        assert (answer.status, answer.body) == (413, b"no")
        await served(made, upstream)
        assert conduct(made, upstream).unsolicited == 0


class Unwritten(asyncio.Transport):
    """A transport whose peer has acknowledged nothing: all that was written is still here."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__({"socket": end})
        self._waiting = 0
        self._closing = False

    def write(self, data: object) -> None:
        self._waiting += len(data)  # type: ignore[arg-type]

    def get_write_buffer_size(self) -> int:
        return self._waiting

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        self._closing = True


async def test_a_connection_that_ended_leaves_nothing_for_the_collector(upstream: Upstream) -> None:
    def wires() -> int:
        return len([each for each in gc.get_objects() if type(each) is Wire])

    async def gone() -> bool:
        return wires() == before

    gc.collect()
    gc.disable()
    try:
        before = wires()
        async with exchange() as made:
            connections = [await served(made, upstream, tenant) for tenant in ("acme", "globex")]
            assert wires() == before + 2
            for each in connections:
                each.close()
            await eventually(gone, what="the connections to be freed")
    finally:
        gc.enable()


async def test_a_response_to_a_request_of_which_nothing_has_arrived_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire()
        wire.connection_made(Unwritten(ours))
        wire.round_trip_s = 30
        asking = asyncio.ensure_future(wire.request(b"GET / HTTP/1.1\r\n\r\n", seconds=HANG_S))
        await asyncio.sleep(0)
        wire.data_received(OK)
        with pytest.raises(BrokenResponse, match="before the request"):
            await asking
        assert wire.unsolicited and not wire.reusable


@pytest.mark.parametrize(
    ("begin", "endless"),
    [
        (b"HTTP/1.1 200 ", b"reason " * 1000),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 8000),
        (b"", b"HTTP/1.1 100 \r\n\r\n" * 500),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"y" * 8000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"y" * 8000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"y" * 8000 + b"\r\nz\r\n"),
    ],
    ids=["reason", "header", "1xx", "chunk extension", "trailer", "chunk extensions"],
)
async def test_head_and_framing_of_a_response_are_bounded(upstream: Upstream, begin: bytes, endless: bytes) -> None:
    async with exchange() as made:
        under_way = asyncio.ensure_future(_read_all(made, call(upstream)))
        connection = await upstream.accept()
        await upstream.heard(connection)
        sent = len(begin)
        connection.send(begin)
        with pytest.raises(ConnectionError):
            while sent < 30_000_000:
                await asyncio.get_running_loop().sock_sendall(connection, endless)
                sent += len(endless)
        with pytest.raises(OutcomeUnknown):
            await under_way
        assert sent < 30_000_000


async def _read_all(made: Exchange, request: UpstreamRequest) -> None:
    answer = await made.send(request)
    if answer.chunks is not None:
        async for _ in answer.chunks:
            pass


async def test_a_field_in_a_trailer_is_not_a_field_of_the_response(upstream: Upstream) -> None:
    async with exchange() as made:
        under_way = asyncio.ensure_future(made.send(call(upstream)))
        connection = await upstream.accept()
        await upstream.heard(connection)
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nETag: trailer\r\n\r\n")
        answer = await under_way
        assert (answer.body, answer.headers) == (b"ok", [])
