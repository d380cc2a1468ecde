"""Connections that no call uses at the moment: kept for their tenant's next one, or watched before they are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from limiter.upstream.conduct import KeepAlive, OriginConduct
from limiter.upstream.wire import Wire
from quota_platform.base.kept import kept_text

_SWEEPS = 4
"""While one connection is watched."""
_SPOKE_IDLE = kept_text("it sent bytes on an idle connection")


@dataclass(slots=True, eq=False)
class TenantRoute:
    """One tenant's way to an origin. ``kept``: the connections that wait for its next call; no other one uses them."""

    conduct: OriginConduct
    tenant: str
    kept: dict[Wire, None] = field(default_factory=dict)


class Resting:
    """``closed`` is called for each connection that is closed here. Belongs to the running loop."""

    def __init__(self, rules: KeepAlive, *, most_watched: int, closed: Callable[[], None]) -> None:
        self._rules = rules
        self._most_watched = most_watched
        self._closed = closed
        self._idle: dict[Wire, TenantRoute] = {}
        self._watched: dict[Wire, TenantRoute] = {}
        self._loop = asyncio.get_running_loop()
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._idle) + len(self._watched)

    def take(self, route: TenantRoute) -> Wire | None:
        """The one kept last for this tenant; the caller looks whether it can still be used."""
        if not route.kept:
            return None
        wire, _ = route.kept.popitem()
        del self._idle[wire]
        wire.ended = None
        return wire

    def keep(self, wire: Wire, route: TenantRoute) -> None:
        """For the next call of its tenant, for a moment."""
        route.kept[wire] = None
        self._rest(self._idle, wire, route, seconds=self._rules.idle_s)

    def watch(self, wire: Wire, route: TenantRoute) -> None:
        """It serves no other call; whether bytes come over it that nobody asked for tells of its origin."""
        if len(self._watched) < self._most_watched:
            self._rest(self._watched, wire, route, seconds=self._rules.watched_s)
        else:
            self._close(wire)

    def make_room(self) -> None:
        """Close one, if any is at rest: one that serves no other call, else the one longest idle."""
        if self._watched:  # those watched longest are the likeliest to have ended
            self._close(next(reversed(self._watched)))
        elif self._idle:
            self._close(next(iter(self._idle)))

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for wire in [*self._idle, *self._watched]:
            self._close(wire)

    def _rest(self, where: dict[Wire, TenantRoute], wire: Wire, route: TenantRoute, *, seconds: float) -> None:
        where[wire] = route
        wire.due = self._loop.time() + seconds
        wire.ended = self._ended
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._rules.watched_s / _SWEEPS, self._sweep)

    def _leave(self, wire: Wire) -> None:
        wire.ended = None
        if self._watched.pop(wire, None) is None and (route := self._idle.pop(wire, None)) is not None:
            del route.kept[wire]

    def _close(self, wire: Wire) -> None:
        self._leave(wire)
        wire.close()
        self._closed()

    def _ended(self, wire: Wire) -> None:
        """The other side closed it, or it was closed because it spoke."""
        idle = self._idle.get(wire)
        conduct = (idle or self._watched[wire]).conduct
        self._close(wire)
        if wire.unsolicited:
            self.misbehaved(conduct, _SPOKE_IDLE)
        elif idle:
            conduct.ended_idle += 1

    def misbehaved(self, conduct: OriginConduct, reason: str) -> None:
        """What one connection to an origin has done those kept beside it may be about to: none is used again."""
        kept = conduct.keeps
        conduct.misbehaved(reason)
        if kept and not conduct.keeps:
            for wire in [wire for wire, route in self._idle.items() if route.conduct is conduct]:
                self._close(wire)

    def _sweep(self) -> None:
        """Close those at rest for their time; the first of each is the oldest."""
        now = self._loop.time()
        for resting in (self._watched, self._idle):
            while resting:
                wire, route = next(iter(resting.items()))
                if wire.due > now:
                    break
                if resting is self._watched and wire.reusable and not wire.pending():
                    route.conduct.stayed_silent()
                self._close(wire)
        resumes = self._idle or self._watched
        self._sweeper = self._loop.call_later(self._rules.watched_s / _SWEEPS, self._sweep) if resumes else None
