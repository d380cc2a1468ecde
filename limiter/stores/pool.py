"""Connections to the store: a bounded pool for one server, and one per node for a cluster.

A failed store is not tried again by every call: after a failure the pool raises :class:`StoreUnavailable` at once, and
lets one call through as a probe every ``probe_ms``. So an unavailable store costs a call one timeout, and the calls
after it nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Protocol

import hiredis
from redis.crc import key_slot

from limiter.stores.errors import StoreUnavailable
from limiter.stores.pipeline import Address, Pipeline, Reply, pack

_REDIRECTIONS = 4
_ASKING = pack("ASKING")
_SLOTS = pack("CLUSTER", "SLOTS")
_ROLE = pack("ROLE")
_NOT_PRIMARY = ("READONLY", "MASTERDOWN")
"""Replies of a server that a failover has made a replica."""
_SPILL = 128
"""Commands waiting on one connection before the next one is used: long pipelines cost least per command."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Bounds of one pool. Times in milliseconds; ``max_in_flight`` counts commands without a reply."""

    size: int = 4
    connect_timeout_ms: int = 200
    timeout_ms: int = 250
    probe_ms: int = 500
    max_in_flight: int = 4096


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """What a pool looks like now, for metrics and readiness."""

    open: int
    size: int
    in_flight: int
    failures: int
    available: bool


class Link(Protocol):
    """What the store needs of its connections."""

    async def send(self, packed: bytes, *, key: bytes) -> Reply: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def status(self) -> PoolStatus: ...
    async def primaries(self) -> dict[str, StorePool]: ...


class StorePool:
    """A bounded set of pipelined connections to one server: of several, to the first that is no replica."""

    def __init__(self, address: Address, settings: PoolSettings) -> None:
        self._addresses = address.each()
        self._settings = settings
        self._pipelines: list[Pipeline] = []
        self._opening: asyncio.Task[Pipeline] | None = None
        self._closed_until = 0.0
        self._failures = 0

    async def open(self) -> None:
        """Open the first connection, so that a worker finds out at start whether the store is available."""
        try:
            await self._connect()
        except StoreUnavailable:
            self._failed()

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        for pipeline in self._pipelines:
            pipeline.close()

    async def send(self, packed: bytes, *, key: bytes = b"", asking: bool = False) -> Reply:
        """Send one command once; raises :class:`StoreUnavailable` or :class:`OutcomeUnknown`.

        ``asking`` goes before it when a cluster is moving the key to this server.
        """
        pipeline = self._pick()
        try:
            if pipeline is None:
                pipeline = await self._connect()
            if asking:
                pipeline.send(_ASKING)
            reply = await pipeline.send(packed)
        except StoreUnavailable:
            self._failed()
            raise
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith(_NOT_PRIMARY):
            self._leave(pipeline)
        else:
            self._closed_until = 0.0
        return reply

    async def primaries(self) -> dict[str, StorePool]:
        """The one server that is used, by its name."""
        if not self._pipelines:
            await self._connect()
        return {self._addresses[0].name: self}

    def status(self) -> PoolStatus:
        live = [p for p in self._pipelines if p.open]
        return PoolStatus(
            open=len(live),
            size=self._settings.size,
            in_flight=sum(p.pending for p in live),
            failures=self._failures,
            available=bool(live) and self._closed_until == 0.0,
        )

    def _pick(self) -> Pipeline | None:
        """An open connection with room; None when one has to be opened first."""
        if self._closed_until:
            now = asyncio.get_running_loop().time()
            if now < self._closed_until:
                raise StoreUnavailable("the store failed a moment ago and is not asked yet")
            self._closed_until = now + self._settings.probe_ms / 1000  # this call is the probe
        elif len(self._pipelines) == 1:
            only = self._pipelines[0]
            if only.open and only.pending < min(_SPILL, self._settings.max_in_flight):
                return only
        live = [p for p in self._pipelines if p.open]
        if sum(p.pending for p in live) >= self._settings.max_in_flight:
            raise StoreUnavailable("too many commands wait for the store")
        for pipeline in live:
            if pipeline.pending < _SPILL:
                return pipeline
        if live and len(live) < self._settings.size:
            self._start_opening()
        return min(live, key=lambda p: p.pending, default=None)

    async def _connect(self) -> Pipeline:
        """The one connection attempt under way, shared by all who wait for it."""
        return await asyncio.shield(self._start_opening())

    def _start_opening(self) -> asyncio.Task[Pipeline]:
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._add())
            self._opening.add_done_callback(_look_at)
        return self._opening

    async def _add(self) -> Pipeline:
        try:
            made = await self._dial()
            self._pipelines = [p for p in self._pipelines if p.open] + [made]
            return made
        finally:
            self._opening = None

    async def _dial(self) -> Pipeline:
        """A connection to the first server that is a primary, beginning with the last that was."""
        settings = self._settings
        error = StoreUnavailable("no server is named")
        for address in self._addresses.copy():
            try:
                made = await Pipeline.connect(
                    address,
                    connect_timeout_s=settings.connect_timeout_ms / 1000,
                    timeout_s=settings.timeout_ms / 1000,
                )
                if len(self._addresses) > 1:
                    await _insist_on_primary(made)
            except StoreUnavailable as failed:
                error = failed
                continue
            self._addresses.remove(address)
            self._addresses.insert(0, address)
            return made
        raise error

    def _leave(self, pipeline: Pipeline) -> None:
        """Give up a server that is no longer the primary: a new connection follows the name to the one that is."""
        if pipeline in self._pipelines:
            for old in self._pipelines:
                old.retire()
            self._pipelines = []
            self._failed()

    def _failed(self) -> None:
        self._failures += 1
        self._closed_until = asyncio.get_running_loop().time() + self._settings.probe_ms / 1000


async def _insist_on_primary(pipeline: Pipeline) -> None:
    """Raise :class:`StoreUnavailable` for a replica. A user without the right to ROLE accepts any server."""
    role = await pipeline.send(_ROLE)
    if isinstance(role, list) and role[0] == b"slave":
        pipeline.close()
        raise StoreUnavailable("the server is a replica")


def _look_at(task: asyncio.Task[Pipeline]) -> None:
    """Retrieve the task's exception: those who waited for it have had it already."""
    if not task.cancelled():
        task.exception()


class ClusterPool:
    """One pool per node of a Redis Cluster; follows the slots when they move.

    A redirection means that the command did not run, so it may be sent again.
    """

    def __init__(self, seed: Address, settings: PoolSettings) -> None:
        self._seed = seed
        self._settings = settings
        self._pools: dict[tuple[str, int], StorePool] = {}
        self._slots: dict[int, tuple[str, int]] = {}
        self._refreshing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self._learn()

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        for pool in self._pools.values():
            await pool.close()

    async def send(self, packed: bytes, *, key: bytes) -> Reply:
        """Send one command to the node that serves ``key``; raises :class:`StoreUnavailable`."""
        slot = key_slot(key)
        if slot not in self._slots:
            await self._learn()
        where, asking = self._slots.get(slot), False
        for _ in range(_REDIRECTIONS):
            if where is None:
                break
            try:
                reply = await self._pool(where).send(packed, asking=asking)
            except StoreUnavailable:
                self._refresh()
                raise
            moved = str(reply).split() if isinstance(reply, hiredis.ReplyError) else [""]
            if moved[0] not in ("MOVED", "ASK"):
                return reply
            where, asking = self._parse(moved[2], where), moved[0] == "ASK"
            if not asking:
                self._slots[slot] = where
                self._refresh()
        raise StoreUnavailable("no node of the cluster serves this key")

    async def primaries(self) -> dict[str, StorePool]:
        """Those that serve slots, by their names; raises :class:`StoreUnavailable`."""
        if not self._slots:
            await self._learn()
        return {f"{host}:{port}": self._pool((host, port)) for host, port in sorted(set(self._slots.values()))}

    def status(self) -> PoolStatus:
        """The sums over all nodes. Only those that serve slots, and were asked, decide whether it is available."""
        parts = [pool.status() for pool in self._pools.values()]
        serving = [self._pools[where].status() for where in set(self._slots.values()) if where in self._pools]
        return PoolStatus(
            open=sum(p.open for p in parts),
            size=sum(p.size for p in parts),
            in_flight=sum(p.in_flight for p in parts),
            failures=sum(p.failures for p in parts),
            available=bool(self._slots) and all(p.available for p in serving if p.open or p.failures),
        )

    def _pool(self, where: tuple[str, int]) -> StorePool:
        if where not in self._pools:
            address = replace(self._seed, host=where[0], port=where[1], database=0, seeds=())
            self._pools[where] = StorePool(address, self._settings)
        return self._pools[where]

    def _parse(self, address: str, answered_by: tuple[str, int]) -> tuple[str, int]:
        host, _, port = address.rpartition(":")
        return host or answered_by[0], int(port)

    def _refresh(self) -> None:
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().create_task(self.open())
            self._refreshing.add_done_callback(lambda _: setattr(self, "_refreshing", None))

    async def _learn(self) -> None:
        """Ask the nodes, one after the other, who serves what; raises :class:`StoreUnavailable`."""
        seeds = [(seed.host, seed.port) for seed in self._seed.each()]
        for where in [*seeds, *(w for w in self._pools if w not in seeds)]:
            with contextlib.suppress(StoreUnavailable):
                reply = await self._pool(where).send(_SLOTS)
                if isinstance(reply, list) and reply:
                    self._slots = _slot_map(reply, where[0])
                    return
        raise StoreUnavailable("no node of the cluster responds")


def _slot_map(ranges: list[list[Reply]], answered_by: str) -> dict[int, tuple[str, int]]:
    """CLUSTER SLOTS as slot -> address of its primary. An empty host means the node that was asked."""
    slots = {}
    for first, last, primary, *_ in ranges:
        where = ((primary[0] or b"").decode() or answered_by, int(primary[1]))
        slots.update(dict.fromkeys(range(first, last + 1), where))
    return slots
