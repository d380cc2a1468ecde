"""A server that speaks the store's protocol and obeys the test: the bytes that a connection really puts on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hiredis

from limiter.stores.pipeline import Address, Pipeline


class FakeStore(asyncio.Protocol):
    """Serves one connection. ``segments`` are the pieces as they were read, ``commands`` the commands in them.

    Responds to every command with its last word until ``answering`` is switched off; ``say`` sends any bytes.
    """

    def __init__(self) -> None:
        self.segments: list[bytes] = []
        self.commands: list[list[bytes]] = []
        self.answering = True
        self.gone = asyncio.Event()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        self.segments.append(data)
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            assert isinstance(command, list)
            self.commands.append(command)
            if self.answering:
                self.say(b"$%d\r\n%b\r\n" % (len(command[-1]), command[-1]))

    def say(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def hang_up(self) -> None:
        assert self._transport is not None
        self._transport.close()


@asynccontextmanager
async def connected(*, timeout_s: float = 20.0) -> AsyncIterator[tuple[Pipeline, FakeStore]]:
    """A connection to a fake store, signed in; its commands to do so are forgotten."""
    fake = FakeStore()
    server = await asyncio.get_running_loop().create_server(lambda: fake, "127.0.0.1", 0)
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    pipeline = await Pipeline.connect(address, connect_timeout_s=20, timeout_s=timeout_s)
    fake.segments.clear()
    fake.commands.clear()
    yield pipeline, fake
    pipeline.close()
    await fake.gone.wait()
    server.close()
