"""What a worker sees of upstreams whose pace is learned or set, on its way to the store: see ``pace.lua``."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field

from limiter.core.pacing import LEARN, Ended, HeldPace, learn
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.gateway.background import Background
from limiter.stores.errors import StoreError
from tenants.directory import ConnectionSpec

EVERY_S = 0.25
_AT_ONCE_S = 0.005
"""Calls that end within it are reported together where their ends let others through."""
_MAX_ENDS = 64
"""In one report; as many are compared."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    """Of one connection since the last report."""

    connection: ConnectionSpec
    ran: int = 0
    held: int = 0
    pushed_back: int = 0
    sent_s: float = 0.0
    """By the event loop's clock, when those that ran were sent, added up."""
    ended_s: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_MAX_ENDS))
    """When each of them was sent, and when its response came."""

    def ago_us(self, now_s: float) -> int:
        """How long ago those that ran were sent, on average."""
        return max(0, int((now_s - self.sent_s / self.ran) * MICROS)) if self.ran else 0

    def ended(self, now_s: float) -> list[Ended]:
        """How long ago each of those that ran was sent, and ended."""
        return [Ended(int((now_s - sent) * MICROS), int((now_s - ended) * MICROS)) for sent, ended in self.ended_s]


class Paces:
    """One per worker and event loop. It reports a few times a second, and pushback at once; nobody waits for it."""

    def __init__(self, store: Store, *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._every_s = every_s
        self._seen: dict[int, _Seen] = {}
        self._paced: set[int] = set()
        """Connections that have a pace, or had one that the store still holds."""
        self._at_once: set[int] = set()
        """Connections whose calls under way are counted by the ends that are reported."""
        self._timer: asyncio.TimerHandle | None = None
        self._running = Background()

    def wants(self, connection: ConnectionSpec) -> bool:
        """Whether its calls are to be noted."""
        return bool(connection.pace) or connection.id in self._paced

    def ran(self, connection: ConnectionSpec, *, latency_us: int | None = None) -> None:
        """The upstream took a call, and worked on it for so long."""
        seen = self._of(connection)
        now_s = asyncio.get_running_loop().time()
        sent_s = now_s - (latency_us or 0) / MICROS
        seen.ran += 1
        seen.sent_s += sent_s
        seen.ended_s.append((sent_s, now_s))
        if connection.id in self._at_once:
            self._flush_in(_AT_ONCE_S)

    def held(self, connection: ConnectionSpec) -> None:
        """A call was held back."""
        self._of(connection).held += 1

    async def pushed_back(
        self, connection: ConnectionSpec, *, wait_s: float | None = None, took_us: int | None = None
    ) -> None:
        """The upstream turned a request away. Raises nothing.

        ``wait_s``: the wait in its response. ``took_us``: how long it was under way; None if it was no first attempt.
        """
        self._of(connection).pushed_back += 1
        said_us = int((wait_s or 0) * MICROS)
        await self._report(self._seen.pop(connection.id), said_us=said_us, away_us=took_us)

    async def drain(self) -> None:
        """Report everything, and wait until the store has it."""
        self._flush()
        await self._running.drain()

    def _of(self, connection: ConnectionSpec) -> _Seen:
        seen = self._seen.get(connection.id)
        if seen is None:
            seen = self._seen[connection.id] = _Seen(connection)
            self._flush_in(self._every_s)
        seen.connection = connection
        return seen

    def _flush_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._timer.when() > loop.time() + seconds:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_later(seconds, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seen, self._seen = self._seen, {}
        for each in seen.values():
            self._running.start(self._report(each))

    async def _report(self, seen: _Seen, *, said_us: int = 0, away_us: int | None = None) -> None:
        connection, now_s = seen.connection, asyncio.get_running_loop().time()
        counts = {"ran": seen.ran, "held": seen.held, "pushed_back": seen.pushed_back}
        counts |= {"ago_us": seen.ago_us(now_s), "said_us": said_us}
        counts |= {} if away_us is None else {"away_us": away_us}
        mode, shared = connection.pace, connection.shared
        ended = seen.ended(now_s) if mode == LEARN else []  # else nothing is learned from them
        try:
            held = await learn(self._store, connection.id, mode=mode, shared=shared, ended=ended, **counts)
        except StoreError:
            log.debug("the pace of connection %d was not learned from %s", connection.id, counts)
            return
        self._note(connection, held)

    def _note(self, connection: ConnectionSpec, held: HeldPace) -> None:
        if held.at_once:
            self._at_once.add(connection.id)
        else:
            self._at_once.discard(connection.id)
        if connection.pace:
            self._paced.add(connection.id)
        else:
            self._paced.discard(connection.id)
