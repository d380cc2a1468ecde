"""The product's controllers through their own scripts, in a store, with the simulation's clock.

What ends by itself in the store would end by the store's clock; here it is ended by the simulation's.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

import hiredis

from limiter.core import in_flight, keys
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.ends import LearningSettings
from limiter.core.learned import State
from limiter.core.shape import Learned
from limiter.core.store import EVERY_MS, EndedCall, Store
from limiter.core.types import PPM, Limit, Subject
from limiter.core.window import Call, Stack, bind
from limiter.stores.pipeline import Reply
from limiter.stores.pool import PoolStatus, StorePool
from tests.bench.control.unit import S

T0 = 1_800_000_000 * S
LEASE_US = 60 * S
R = TypeVar("R")


class Direct:
    """A link over one blocking socket: nothing else runs meanwhile, so nothing has to be awaited."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    async def open(self) -> None: ...

    async def close(self) -> None:
        self._socket.close()

    def status(self) -> PoolStatus:
        raise NotImplementedError

    async def primaries(self) -> dict[str, StorePool]:
        raise NotImplementedError

    async def send(self, packed: bytes, *, key: bytes = b"") -> Reply:
        self._socket.sendall(packed)
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65_536))
        return reply


def now(running: Coroutine[Any, Any, R]) -> R:
    """The result of something that waits for nothing."""
    try:
        running.send(None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    raise RuntimeError("it waits")


class Stored:
    """Calls of the simulation, decided and recorded by the product."""

    def __init__(self, store: Store, limits: tuple[Limit, ...], *, learned: Learned | None = None) -> None:
        self.store = store
        self._limits, self._learned = limits, learned
        self._stacks: dict[int, Stack] = {}
        self.running = 0
        now(store.command("FLUSHALL", key="any"))

    def stack(self, tenant: int) -> Stack:
        if tenant not in self._stacks:
            subject = Subject(1, f"tenant-{tenant}", "lookupOrder", "key")
            adapts = PPM if any(limit.adaptive for limit in self._limits) else None
            self._stacks[tenant] = bind(self._limits, subject=subject, default_ppm=adapts, learned=self._learned)
        return self._stacks[tenant]

    def admit(self, now_us: int, call: int, tenant: int) -> bool:
        decided = self.store.decide(self.stack(tenant), Call(f"d{call}", now_us=T0 + now_us))
        allowed = now(decided).allowed
        self.running += allowed
        return allowed

    def ended(self, now_us: int, call: int, tenant: int, latency_us: int | None, *, pushed_back: bool) -> None:
        end = EndedCall(f"d{call}", "answered" if latency_us else "upstream_busy", latency_us, pushed_back)
        now(self.store.record(self.stack(tenant), [end], settings=None, now_us=T0 + now_us))
        self.running -= 1
        self.heard(now_us, end)

    def heard(self, now_us: int, end: EndedCall) -> None:
        """A call has ended, and that is recorded."""

    def tick(self, now_us: int) -> None: ...


class StoredLearned(Stored):
    """The learned limit of calls in flight."""

    def __init__(self, store: Store, settings: LearningSettings) -> None:
        super().__init__(store, (), learned=in_flight.learned(settings))
        self._settings = settings
        self.states: list[State] = []

    def heard(self, now_us: int, end: EndedCall) -> None:
        self._learn(now_us, [end])

    def tick(self, now_us: int) -> None:
        if self.running:
            self._learn(now_us, [])

    def _learn(self, now_us: int, ends: list[EndedCall]) -> None:
        learned = in_flight.heard(self.store, 1, ends, self._settings, now_us=T0 + now_us)
        if state := now(learned):
            self.states.append(state)


class StoredSeed(Stored):
    """The seed's rule, one multiplier for all."""

    def __init__(self, store: Store, limit: Limit) -> None:
        super().__init__(store, (limit,))
        self._due_us = self._cut_ends_us = 0

    def admit(self, now_us: int, call: int, tenant: int) -> bool:
        if self._cut_ends_us and now_us >= self._cut_ends_us:
            self._cut_ends_us = 0
            self._end(keys.multiplier(1, self.stack(0).subject.tenant, None))
        return super().admit(now_us, call, 0)

    def ended(self, now_us: int, call: int, tenant: int, latency_us: int | None, *, pushed_back: bool) -> None:
        if now_us >= self._due_us:
            self._due_us = now_us + EVERY_MS * 1000
            self._end(keys.due(1, self.stack(0).subject.tenant, None))
        end = EndedCall(f"d{call}", "answered" if latency_us else "upstream_busy", latency_us, pushed_back)
        recorded = self.store.record(self.stack(0), [end], settings=AdaptiveSettings(), now_us=T0 + now_us)
        if evidence := now(recorded).evidence:
            self._cut_ends_us = now_us + evidence.fresh_for_us if evidence.multiplier_ppm < PPM else 0

    def _end(self, name: str) -> None:
        now(self.store.command("DEL", name, key=name))
