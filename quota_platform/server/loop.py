"""The event loop of a web process: uvloop, with doors of its own for new connections.

libuv takes one new connection a turn. Under load a turn takes a tenth of a second, and callers, people and balancers
would wait as many turns as there are connections before theirs. It also makes a transport of each, which costs almost
as much as a call: here a protocol that has a method ``turn_away(host)`` is asked before, and a connection for which it
returns a response gets that and is closed. That takes a tenth of a processor at most: a flood of them waits in the
kernel meanwhile, where it costs the calls that are served nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ssl import SSLContext
from typing import Any

import uvloop

from quota_platform.server.handover import Receiving, Take
from quota_platform.server.neighbours import Group, Neighbours

ADMITTED_AT_ONCE = 16
"""Connections of one turn. Not all that wait: a flood of them would take the time of those who are being served."""
TAKEN_AT_ONCE = 64
"""Of one turn, with those that are turned away."""
REST_S = 0.1
"""How long no connection is taken when this process may open no more files."""
LOOKS_S = 1.0
"""Between two looks for a place among the neighbours."""
TURN_AWAY_SHARE = 0.1
"""Of a processor, for connections that are turned away. Those of a full backlog are through in two seconds."""
_BACKLOG = 100
_UNREAD = 65_536

Factory = Callable[[], asyncio.BaseProtocol]


class Loop(uvloop.Loop):
    """``create_server`` and its like for unix sockets return a server that takes all that wait."""

    neighbours: Neighbours | None = None
    """Set before a server is made: it also takes connections over from these, and for pages from nowhere else.

    A process without a place among them looks for one as long as it serves.
    """

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Factory, *args: Any, **options: Any
    ) -> Listener:
        server = await super().create_server(protocol_factory, *args, **options, start_serving=False)
        return self._listener(protocol_factory, server, options)

    async def create_unix_server(  # type: ignore[override]
        self, protocol_factory: Factory, *args: Any, **options: Any
    ) -> Listener:
        server = await super().create_unix_server(protocol_factory, *args, **options, start_serving=False)
        return self._listener(protocol_factory, server, options)

    def _listener(self, factory: Factory, server: asyncio.AbstractServer, options: dict[str, Any]) -> Listener:
        ssl, backlog = options.get("ssl"), options.get("backlog", _BACKLOG)
        sockets: Sequence[socket.socket] = server.sockets  # type: ignore[attr-defined]
        entrance = Entrance(self)

        def from_port() -> list[_Door]:
            return [_Door(entrance, each.fileno(), factory, backlog=backlog, ssl=ssl) for each in sockets]

        # What one process has read and decrypted, another one cannot continue.
        neighbours = self.neighbours if ssl is None else None
        return Listener(self, server, from_port, neighbours, entrance.taker(factory))


class Listener:
    """A server, as far as uvicorn needs one."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        server: asyncio.AbstractServer,
        from_port: Callable[[], list[_Door]],
        neighbours: Neighbours | None,
        take: Take,
    ) -> None:
        """Open the doors that this process has. ``take``: a connection that one of the neighbours hands over."""
        self._loop = loop
        self._server: Any = server
        self._neighbours, self._take = neighbours, take
        self._receiving: Receiving | None = None
        self._looks: asyncio.TimerHandle | None = None
        self._doors: list[_Door] = []
        self._join()
        if self._receiving is None or not self._for_pages():
            self._doors = from_port()

    @property
    def sockets(self) -> Sequence[socket.socket]:
        return self._server.sockets  # type: ignore[no-any-return]

    def close(self) -> None:
        if self._looks is not None:
            self._looks.cancel()
        if self._receiving is not None:
            self._receiving.close()
        self._close_doors()
        self._server.close()

    async def wait_closed(self) -> None:
        await self._server.wait_closed()

    def _join(self) -> None:
        """Be reached by the neighbours, as soon as there is a place among them."""
        if self._neighbours is None:
            return
        if not self._neighbours.take_place():
            self._looks = self._loop.call_later(LOOKS_S, self._join)
            return
        assert self._neighbours.listening is not None  # at its place
        self._receiving = Receiving(self._loop, self._neighbours.listening, self._take)
        if self._for_pages():
            self._close_doors()

    def _for_pages(self) -> bool:
        return self._neighbours is not None and self._neighbours.group is Group.PAGES

    def _close_doors(self) -> None:
        while self._doors:
            self._doors.pop().close()


class Entrance:
    """Makes a connection that is there already one of the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._entering: set[asyncio.Task[Any]] = set()

    def enter(self, connection: socket.socket, protocol: asyncio.BaseProtocol, ssl: SSLContext | None) -> None:
        """Soon; one that is gone by then is lost to its protocol."""
        task = self.loop.create_task(self._enter(connection, protocol, ssl))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    def taker(self, factory: Factory) -> Take:
        """Lets connections in that a neighbour hands over, if their protocol takes them over."""

        def take(connection: socket.socket, read: bytes) -> bool:
            protocol: Any = factory()
            try:
                address = connection.getpeername()
            except OSError:  # it is gone, which its protocol learns by reading
                address = ""
            if not protocol.takes_over(address[0] if isinstance(address, tuple) else "", read):
                return False
            self.enter(connection, protocol, None)
            return True

        return take

    async def _enter(self, connection: socket.socket, protocol: asyncio.BaseProtocol, ssl: SSLContext | None) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: protocol, connection, ssl=ssl)
        except OSError as error:  # it is gone already
            connection.close()
            protocol.connection_lost(error)


class _Door:
    """Takes the connections of one socket."""

    def __init__(self, entrance: Entrance, fd: int, factory: Factory, *, backlog: int, ssl: SSLContext | None) -> None:
        self._entrance = entrance
        self._loop = entrance.loop
        self._factory = factory
        self._ssl = ssl
        self._next: asyncio.BaseProtocol | None = None
        """Made for the next one to be admitted."""
        self._rest: asyncio.TimerHandle | None = None
        self._socket = socket.socket(fileno=os.dup(fd))  # uvloop lets nobody else watch its own
        self._socket.setblocking(False)
        self._socket.listen(backlog)
        self._open()

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        if self._rest is not None:
            self._rest.cancel()
        self._socket.close()

    def _open(self) -> None:
        self._rest = None
        self._loop.add_reader(self._socket, self._take)

    def _shut(self, seconds: float) -> None:
        self._loop.remove_reader(self._socket)
        self._rest = self._loop.call_later(seconds, self._open)

    def _take(self) -> None:
        began, taken, admitted = time.thread_time(), 0, 0
        while taken < TAKEN_AT_ONCE and admitted < ADMITTED_AT_ONCE:
            try:
                connection, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break  # none is left
            except OSError:
                self._shut(REST_S)
                return
            taken += 1
            admitted += self._admit(connection, address)
        if admitted < taken:
            self._shut(rest_s(time.thread_time() - began, turned_away=taken - admitted, taken=taken))

    def _admit(self, connection: socket.socket, address: Any) -> bool:
        """Let it in, or say why not."""
        protocol = self._next or self._factory()
        if response := self._response_to(address, protocol):
            self._next = protocol
            _say(response, connection)
            return False
        self._next = None
        self._entrance.enter(connection, protocol, self._ssl)
        return True

    def _response_to(self, address: Any, protocol: Any) -> bytes:
        """For a caller who is not admitted; empty where the protocol admits all, or has to find out for itself."""
        if self._ssl is not None or not isinstance(address, tuple) or not hasattr(protocol, "turn_away"):
            return b""
        return protocol.turn_away(address[0])  # type: ignore[no-any-return]


def rest_s(spent_s: float, *, turned_away: int, taken: int) -> float:
    """How long to take none after ``spent_s`` of processor time for connections of which some were turned away.

    Not of the clock's time: on a busy machine the next ones, people among them, would wait for other programs too.
    """
    return min(REST_S, spent_s * turned_away / taken * (1 / TURN_AWAY_SHARE - 1))


def _say(response: bytes, connection: socket.socket) -> None:
    """Send it and close. Unread bytes would have the system reset the connection, and the response be lost."""
    with connection, suppress(OSError):
        connection.send(response, socket.MSG_DONTWAIT)
        connection.recv(_UNREAD, socket.MSG_DONTWAIT)
