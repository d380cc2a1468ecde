"""Connections to upstreams, kept open between calls: bounded in all, the most recently used first."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import NamedTuple

from limiter.upstream.pins import Pins
from limiter.upstream.wire import Wire

KEEP_ALIVE_S = 10.0
DNS_TTL_S = 10.0


class Origin(NamedTuple):
    """Where a connection leads."""

    tls: bool
    host: str
    port: int


class NotConnected(Exception):
    """No connection was had, so nothing was sent."""


class NotConnectedInTime(NotConnected):
    """Neither made nor freed by another call within the connect timeout."""


class Connections:
    """At most ``size`` connections, in use or idle. Belongs to the running loop."""

    def __init__(self, *, pinned: Pins, size: int) -> None:
        self._pinned = pinned
        self._size = size
        self._open = 0
        self._idle: dict[Origin, list[Wire]] = {}
        self._queue: deque[tuple[Origin, asyncio.Future[Wire | None]]] = deque()
        self._names: dict[Origin, tuple[float, list[str]]] = {}
        self._lookups: dict[Origin, asyncio.Task[list[str]]] = {}
        self._tls: ssl.SSLContext | None = None
        self._loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def take(self, origin: Origin, *, seconds: float) -> Wire:
        """A connection to ``origin``, one of those kept if there is one.

        Raises :class:`NotConnected`, ssl.SSLCertVerificationError, or :class:`~tenants.hosts.HostRefused` when the
        name leads where it may not.
        """
        kept = self._idle.get(origin)
        while kept:
            wire = kept.pop()
            if wire.reusable and self._loop.time() - wire.idle_since < KEEP_ALIVE_S:
                return wire
            self._drop(wire)
        try:
            async with asyncio.timeout(seconds):
                handed = await self._room(origin)
                if handed is not None:
                    return handed
                try:
                    return await self._connect(origin)
                except BaseException:
                    self._left()
                    raise
        except TimeoutError:
            raise NotConnectedInTime from None
        except ssl.SSLCertVerificationError:
            raise
        except OSError:
            raise NotConnected from None

    def give_back(self, origin: Origin, wire: Wire) -> None:
        """Keep a connection for the next call, or close it when it cannot serve one."""
        if self._closed or not wire.reusable:
            self._drop(wire)
            return
        while self._queue and self._queue[0][1].done():
            self._queue.popleft()
        if self._queue and self._queue[0][0] == origin:
            self._queue.popleft()[1].set_result(wire)
            return
        wire.idle_since = self._loop.time()
        self._idle.setdefault(origin, []).append(wire)
        if self._queue:
            self._make_room()
        elif self._sweeper is None:
            self._sweeper = self._loop.call_later(KEEP_ALIVE_S, self._sweep)

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for wires in self._idle.values():
            for wire in wires:
                wire.close()
        self._idle.clear()
        await asyncio.sleep(0)  # transports say goodbye in the next turn

    async def _connect(self, origin: Origin) -> Wire:
        failed: OSError = OSError("the name has no address")
        for address in await self._addresses(origin):
            try:
                _, wire = await self._loop.create_connection(
                    Wire,
                    address,
                    origin.port,
                    ssl=self._context() if origin.tls else None,
                    server_hostname=origin.host if origin.tls else None,
                )
                return wire
            except ssl.SSLCertVerificationError:
                raise
            except OSError as error:
                failed = error
        raise failed

    async def _addresses(self, origin: Origin) -> list[str]:
        """The checked addresses of a name; looked up in a thread, remembered for a moment."""
        known = self._names.get(origin)
        if known is not None and known[0] > self._loop.time():
            return known[1]
        lookup = self._lookups.get(origin)
        if lookup is None:  # one for all who ask at the same time
            lookup = self._lookups[origin] = self._loop.create_task(self._look_up(origin))
            lookup.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(lookup)

    async def _look_up(self, origin: Origin) -> list[str]:
        try:
            found = await self._loop.run_in_executor(None, self._pinned.resolve, origin.host, origin.port)
        finally:
            del self._lookups[origin]
        self._names[origin] = (self._loop.time() + DNS_TTL_S, found)
        return found

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    async def _room(self, origin: Origin) -> Wire | None:
        """Wait for a connection given back, or for the right to open one (None); first come, first served."""
        if self._open >= self._size:
            self._make_room()
        while self._open >= self._size:
            turn: asyncio.Future[Wire | None] = self._loop.create_future()
            self._queue.append((origin, turn))
            try:
                handed = await turn
            except asyncio.CancelledError:
                self._pass_on(origin, turn)
                raise
            if handed is not None:
                return handed
        self._open += 1
        return None

    def _pass_on(self, origin: Origin, turn: asyncio.Future[Wire | None]) -> None:
        """What came for a call that no longer waits goes to the next one."""
        if turn.cancelled() or not turn.done():
            self._queue = deque(waiting for waiting in self._queue if waiting[1] is not turn)
        elif (handed := turn.result()) is not None:
            self.give_back(origin, handed)
        else:
            self._wake()

    def _make_room(self) -> None:
        """Close one idle connection of any origin, so that a call to another one can be made."""
        for wires in self._idle.values():
            if wires:
                self._drop(wires.pop(0))
                return

    def _drop(self, wire: Wire) -> None:
        wire.close()
        self._left()

    def _left(self) -> None:
        self._open -= 1
        self._wake()

    def _wake(self) -> None:
        """Tell the first call that waits that there is room."""
        while self._queue:
            turn = self._queue.popleft()[1]
            if not turn.done():
                turn.set_result(None)
                return

    def _sweep(self) -> None:
        """Close what has been idle too long."""
        self._sweeper = None
        oldest = self._loop.time() - KEEP_ALIVE_S
        for origin, wires in list(self._idle.items()):
            for wire in [w for w in wires if w.idle_since <= oldest or not w.reusable]:
                wires.remove(wire)
                self._drop(wire)
            if not wires:
                del self._idle[origin]
        if self._idle:
            self._sweeper = self._loop.call_later(KEEP_ALIVE_S, self._sweep)
