"""The event loop of a web process: uvloop, with new connections let in at the next turn.

libuv takes one new connection a turn. Under load a turn takes a tenth of a second, and callers, people and balancers
would wait as many turns as there are connections before theirs. Here the rest is taken together, after libuv's one.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvloop

AT_ONCE = 16
"""Connections of one turn beside libuv's. Not all that wait: one that is turned away costs almost what a call does, and
a flood of them would take the time of those who are being served."""

Factory = Callable[[], asyncio.BaseProtocol]


class Loop(uvloop.Loop):
    """``create_server`` and its like for unix sockets return a server that takes all that wait."""

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Factory, *args: Any, **options: Any
    ) -> Listener:
        return Listener(self, protocol_factory, await super().create_server(protocol_factory, *args, **options))

    async def create_unix_server(  # type: ignore[override]
        self, protocol_factory: Factory, *args: Any, **options: Any
    ) -> Listener:
        return Listener(self, protocol_factory, await super().create_unix_server(protocol_factory, *args, **options))


class Listener:
    """A server, as far as uvicorn needs one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, factory: Factory, server: asyncio.AbstractServer) -> None:
        self._loop = loop
        self._factory = factory
        self._server: Any = server
        self._doors = [_Door(loop, each.fileno(), factory) for each in server.sockets]  # type: ignore[attr-defined]

    @property
    def sockets(self) -> Sequence[socket.socket]:
        return self._server.sockets  # type: ignore[no-any-return]

    def close(self) -> None:
        for door in self._doors:
            door.close()
        self._server.close()

    async def wait_closed(self) -> None:
        await self._server.wait_closed()


class _Door:
    """Takes the connections of one socket that wait when libuv has taken its one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, factory: Factory) -> None:
        self._loop = loop
        self._factory = factory
        self._socket = socket.socket(fileno=os.dup(fd))  # uvloop lets nobody else watch its own
        self._socket.setblocking(False)
        self._entering: set[asyncio.Task[Any]] = set()
        self._soon: asyncio.Handle | None = None
        loop.add_reader(self._socket, self._knocked)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        if self._soon is not None:
            self._soon.cancel()
        self._socket.close()

    def _knocked(self) -> None:
        if self._soon is None:
            self._soon = self._loop.call_soon(self._let_in)

    def _let_in(self) -> None:
        self._soon = None
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # none is left, or no file may be opened any more, which libuv sees to
            task = self._loop.create_task(self._enter(connection))
            self._entering.add(task)
            task.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, connection)
        except OSError:
            connection.close()  # it is gone already
