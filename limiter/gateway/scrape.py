"""What a scrape of the Prometheus page reads: numbers that all workers share, from the store."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from limiter.core import adaptive, in_flight, keys
from limiter.core.adaptive import StoredEvidence
from limiter.core.learned import State
from limiter.core.pacing import Pace, pace_or_none
from limiter.core.pausing import Pause, pause_or_none
from limiter.core.peers import GONE_AFTER_S
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.gateway import heartbeat, record_state
from limiter.gateway.queue_state import QueueState
from limiter.record.state import RecordState

_AT_ONCE = 500
"""Fields in one reply of the store."""


@dataclass
class Gathered:
    """What one scrape read. ``totals``: tenant -> counter -> count. ``pauses``: those of connections that last.

    ``in_flight``: of a connection that learns its limit, the number in force, and the state that it comes from.
    ``faults``: names of connections that cannot be used. None stands for what could not be read.
    """

    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    totals: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    evidence: dict[tuple[str, str], StoredEvidence] = field(default_factory=dict)
    pauses: dict[int, Pause] = field(default_factory=dict)
    paces: dict[int, Pace] = field(default_factory=dict)
    in_flight: dict[int, tuple[int, State]] = field(default_factory=dict)
    faults: Collection[str] | None = None
    record: RecordState = field(default_factory=RecordState)
    queue: QueueState | None = None
    connected_clients: int | None = None
    now: float = 0.0

    def connections(self) -> dict[str, str]:
        """The connections that any worker has sent calls to: their names by uid."""
        return {uid: unit["name"] for state in self.workers.values() for uid, unit in state["upstream"].items()}


async def gather(store: Store) -> Gathered:
    """Read everything; raises :class:`~limiter.stores.errors.StoreError`.

    Commands that do not wait for each other's replies leave together, as the store's pipeline sends them.
    """
    found = Gathered(now=time.time())
    found.record, beats, members, clients = await asyncio.gather(
        record_state.look(store, now=found.now),
        store.command("HGETALL", keys.workers(), key=keys.workers()),
        store.command("SMEMBERS", keys.connections(), key=keys.connections()),
        store.ask("INFO", "clients", key=keys.workers()),
    )
    await _gather_workers(store, beats, found)
    await record_state.of_each(
        keys.connection_ids(members), lambda connection: _gather_connection(store, connection, found)
    )
    if isinstance(clients, bytes):  # a user without the right is refused
        found.connected_clients = int(clients.decode().partition("connected_clients:")[2].split()[0])
    return found


async def _gather_workers(store: Store, beats: list[bytes], found: Gathered) -> None:
    gone = []
    for name, data in _pairs(beats):
        state = heartbeat.FORM.load_or_none(data)
        if state is None:
            continue  # of a release that this one does not understand: counted, and left to that one
        if state["at"] > found.now - GONE_AFTER_S:
            found.workers[name] = state
        elif state["at"] < found.now - 60:
            gone.append(name)
    if gone:
        await store.command("HDEL", keys.workers(), *gone, key=keys.workers())


async def _gather_connection(store: Store, connection: int, found: Gathered) -> None:
    await asyncio.gather(
        _gather_totals(store, connection, found),
        _gather_evidence(store, connection, found),
        _gather_conduct(store, connection, found),
    )


async def _gather_totals(store: Store, connection: int, found: Gathered) -> None:
    async for label, count in _each(store, keys.totals(connection)):
        tenant, _, counter = label.partition("|")
        if count.isdecimal():
            found.totals[tenant][counter] = found.totals[tenant].get(counter, 0) + int(count)


async def _gather_evidence(store: Store, connection: int, found: Gathered) -> None:
    async for label, value in _each(store, keys.evidence(connection)):
        tenant, _, action = label.partition("|")
        if (shown := adaptive.shown_or_none(value)) is not None:
            found.evidence[tenant, action] = shown


async def _gather_conduct(store: Store, connection: int, found: Gathered) -> None:
    """Its pause, its pace and its limit in flight."""
    names = (keys.pause(connection), keys.pace(connection), keys.in_flight(connection))
    paused, paced, learned = await asyncio.gather(*(store.command("GET", name, key=name) for name in names))
    if (pause := pause_or_none(paused, now_us=int(found.now * MICROS))) is not None:
        found.pauses[connection] = pause
    if (pace := pace_or_none(paced, (None, None))) is not None:
        found.paces[connection] = pace
    if (allowed := in_flight.allowed_or_none(learned)) is None or (state := in_flight.state_or_none(learned)) is None:
        return
    found.in_flight[connection] = allowed, state


async def _each(store: Store, name: str) -> AsyncIterator[tuple[str, str]]:
    """The fields of a hash that has some of every tenant, each once; between its parts store and loop serve calls."""
    seen: set[str] = set()
    cursor: Any = 0
    while True:
        cursor, flat = await store.command("HSCAN", name, cursor, "COUNT", _AT_ONCE, key=name)
        for label, value in _pairs(flat):
            if label not in seen:
                seen.add(label)
                yield label, value
        if int(cursor) == 0:
            return
        await asyncio.sleep(0)


def _pairs(flat: list[bytes]) -> Iterator[tuple[str, str]]:
    for at in range(0, len(flat), 2):
        yield flat[at].decode("utf-8", "backslashreplace"), flat[at + 1].decode("utf-8", "backslashreplace")
