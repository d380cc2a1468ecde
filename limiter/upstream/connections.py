"""Connections to upstreams: bounded in all, kept for a moment between calls, and never shared by two tenants.

A response has nothing that says which request it is for but its place on a connection. One that nobody asked for, sent
by an upstream or a proxy before it, is read as the response to the next request there: with connections of each
tenant's own that is never another tenant's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import NamedTuple

from limiter.upstream.conduct import KeepAlive, Origin, OriginConduct
from limiter.upstream.dial import Dialer
from limiter.upstream.pins import Pins
from limiter.upstream.resting import Resting, TenantRoute
from limiter.upstream.wire import Wire
from quota_platform.base.kept import kept_text

MAX_WATCHED = 256
"""Or a quarter of the connections: further ones are closed at once, and tell nothing about their origin."""
MAX_ROUTES = 65_536
_SPOKE_FIRST = kept_text("it spoke before it was asked")
_SPOKE_TWICE = kept_text("it sent more than one response to a request")


class NotConnected(Exception):
    """No connection was had, so nothing was sent."""


class NotConnectedInTime(NotConnected):
    """Neither made nor freed by another call within the connect timeout."""


class OriginPool(NamedTuple):
    """Connections: open now, those of them at rest, and opened since the start."""

    open: int
    at_rest: int
    opened: int


class Connections:
    """At most ``size`` connections, in use or at rest; one at rest is closed when room is needed.

    Belongs to the running loop.
    """

    def __init__(self, *, pinned: Pins, size: int, keep_alive: KeepAlive) -> None:
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._rules = keep_alive
        self._conducts: dict[Origin, OriginConduct] = {}
        self._routes: dict[tuple[Origin, str], TenantRoute] = {}
        self._dialer = Dialer(pinned)
        most_watched = max(1, min(MAX_WATCHED, size // 4))
        self._resting = Resting(keep_alive, most_watched=most_watched, closed=self._left)
        self._open = self._opened = 0
        self._queue: deque[tuple[TenantRoute, asyncio.Future[Wire | None]]] = deque()
        self._closed = False

    @property
    def pool(self) -> OriginPool:
        """How full it is."""
        return OriginPool(self._open, len(self._resting), self._opened)

    def conduct(self, origin: Origin) -> OriginConduct:
        """How the origin has behaved."""
        conduct = self._conducts.get(origin)
        if conduct is None:
            conduct = self._conducts[origin] = OriginConduct(origin, self._rules, self._loop.time)
        return conduct

    def route(self, origin: Origin, tenant: str) -> TenantRoute:
        """This tenant's way to the origin. Connections of one that was forgotten leave by themselves."""
        route = self._routes.get((origin, tenant))
        if route is None:
            if len(self._routes) >= MAX_ROUTES:
                self._routes.clear()
            route = self._routes[origin, tenant] = TenantRoute(self.conduct(origin), tenant)
        return route

    def kept(self, route: TenantRoute) -> Wire | None:
        """One of the tenant's kept connections to the origin that is clean; None when there is none.

        A request that is written at once follows nothing that has arrived.
        """
        while (wire := self._resting.take(route)) is not None:
            if self._is_clean(wire, route):
                return wire
        return None

    async def take(self, route: TenantRoute, *, seconds: float) -> Wire:
        """A connection of this tenant's to the origin when none is :meth:`kept`: one handed on, or a new one.

        Nothing is awaited between the last look at it and the return. Raises :class:`NotConnected`,
        ssl.SSLCertVerificationError, or :class:`~quota_platform.base.hosts.HostRefused` when the name leads where it
        may not.
        """
        try:
            async with asyncio.timeout(seconds):
                while (handed := await self._room(route)) is not None:
                    if self._is_clean(handed, route):
                        return handed
                return await self._connect(route)
        except TimeoutError:
            raise NotConnectedInTime from None
        except ssl.SSLCertVerificationError:
            raise
        except OSError:
            raise NotConnected from None

    def give_back(self, route: TenantRoute, wire: Wire) -> None:
        """Keep a connection for the tenant's next call, or watch it, or close it."""
        if wire.unsolicited:
            self._resting.misbehaved(route.conduct, _SPOKE_TWICE if wire.complete else _SPOKE_FIRST)
            self._drop(wire)
        elif route.conduct.keeps and wire.reusable and not self._closed:
            self._hand_on(wire, route)
        elif self._closed or not wire.complete or not wire.open:
            self._drop(wire)
        else:
            self._resting.watch(wire, route)
            if self._queue:
                self._resting.make_room()

    async def close(self) -> None:
        self._closed = True
        self._resting.close()
        await asyncio.sleep(0)  # transports say goodbye in the next turn

    def _is_clean(self, wire: Wire, route: TenantRoute) -> bool:
        """Nothing has come over a connection since its last response; one that is not clean is taken out of use.

        What waits in the kernel is not looked at here: the loop will tell whether it is bytes or the end.
        """
        if wire.reusable and not wire.pending():
            return True
        if wire.unsolicited:
            self._resting.misbehaved(route.conduct, _SPOKE_FIRST)
        if wire.reusable:
            self._resting.watch(wire, route)
        else:
            self._drop(wire)
        return False

    async def _connect(self, route: TenantRoute) -> Wire:
        """Open one, in room that is there."""
        try:
            wire = await self._dialer.connect(route.conduct.origin)
        except BaseException:
            self._left()
            raise
        self._opened += 1
        # Over TLS something of its own always waits here: the server's tickets.
        if not wire.reusable or (not route.conduct.origin.tls and wire.pending()):
            self._is_clean(wire, route)
            raise NotConnected
        return wire

    def _hand_on(self, wire: Wire, route: TenantRoute) -> None:
        """To the call that waits first, if it is one of the same tenant's; else it rests, and may make room for it."""
        while self._queue and self._queue[0][1].done():
            self._queue.popleft()
        if self._queue and self._queue[0][0] is route:
            self._queue.popleft()[1].set_result(wire)
            return
        self._resting.keep(wire, route)
        if self._queue:
            self._resting.make_room()

    async def _room(self, route: TenantRoute) -> Wire | None:
        """Wait for a connection given back, or for the right to open one (None); first come, first served."""
        if self._open >= self._size:
            self._resting.make_room()
        while self._open >= self._size:
            turn: asyncio.Future[Wire | None] = self._loop.create_future()
            self._queue.append((route, turn))
            try:
                handed = await turn
            except asyncio.CancelledError:
                self._pass_on(route, turn)
                raise
            if handed is not None:
                return handed
        self._open += 1
        return None

    def _pass_on(self, route: TenantRoute, turn: asyncio.Future[Wire | None]) -> None:
        """What came for a call that no longer waits goes to the next one."""
        if turn.cancelled() or not turn.done():
            self._queue = deque(waiting for waiting in self._queue if waiting[1] is not turn)
        elif (handed := turn.result()) is not None:
            self.give_back(route, handed)
        else:
            self._wake()

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
