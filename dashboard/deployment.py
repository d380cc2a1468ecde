"""The store's numbers on the whole deployment: workers seen, pauses, refusals that are not in the database yet."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from limiter.core import in_flight, keys
from limiter.core.learned import State
from limiter.core.pacing import NOTED, Pace, pace_or_none
from limiter.core.pausing import Pause, pause_or_none
from limiter.core.peers import GONE_AFTER_S
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.gateway import heartbeat
from limiter.record import events as recorded
from limiter.record.models import ThrottleEvent
from limiter.record.models.event import ALONE

_LATELY_S = 30
_UNDRAINED = 100
"""Of each connection the newest so many are read; the others wait to be stored unseen."""


@dataclass(slots=True)
class Deployment:
    """As it was read last. ``waiting``: connection -> events that are not in the database. ``calls_waiting``: tenant ->
    calls that wait for their turn. ``pauses``: now lasting.
    ``paces``: now held. ``learned``: connection -> the state of its limit in flight, as of the last half minute.
    """

    workers: dict[str, Any] | None = None
    waiting: dict[int, int] = field(default_factory=dict)
    calls_waiting: dict[str, int] = field(default_factory=dict)
    pauses: dict[int, Pause] = field(default_factory=dict)
    paces: dict[int, Pace] = field(default_factory=dict)
    learned: dict[int, State] = field(default_factory=dict)
    undrained: list[ThrottleEvent] = field(default_factory=list)

    def data(self, connections: Collection[int]) -> dict[str, Any]:
        """What a frame says of it to who may see these connections."""
        waiting = [count for connection, count in self.waiting.items() if connection in connections]
        of = {each: (self.pauses.get(each), self.paces.get(each), self.learned.get(each)) for each in connections}
        return {
            "workers": self.workers,
            "events_waiting": sum(waiting) if waiting else None,
            "calls_waiting": self.calls_waiting,
            "upstreams": of,
        }


async def read(store: Store, connections: Iterable[int]) -> Deployment:
    """Read it anew; raises StoreError."""
    connections = list(connections)
    waiting = await asyncio.gather(*(_waiting(store, connection) for connection in connections))
    pauses = await asyncio.gather(*(_pause(store, connection) for connection in connections))
    paces = await asyncio.gather(*(_pace(store, connection) for connection in connections))
    learned = await asyncio.gather(*(_learned(store, connection) for connection in connections))
    beats = await _beats(store)
    return Deployment(
        workers={"seen": len(beats), "seqs": sorted({beat["snapshot"]["seq"] for beat in beats})},
        calls_waiting=sum((Counter(beat["waiting"]["tenants"]) for beat in beats), Counter()),
        waiting={connection: count for connection, count, _ in waiting},
        pauses={connection: pause for connection, pause in zip(connections, pauses, strict=True) if pause is not None},
        paces={connection: pace for connection, pace in zip(connections, paces, strict=True) if pace is not None},
        learned={of: state for of, state in zip(connections, learned, strict=True) if state is not None},
        undrained=[event for _, _, undrained in waiting for event in undrained],
    )


async def _beats(store: Store) -> list[dict[str, Any]]:
    """The heartbeats of the workers that live."""
    beats = await store.command("HVALS", keys.workers(), key=keys.workers())
    data = [beat for beat in map(heartbeat.FORM.load_or_none, beats) if beat is not None]
    return [beat for beat in data if time.time() - beat["at"] < GONE_AFTER_S]


async def _pace(store: Store, connection: int) -> Pace | None:
    name, evidence = keys.pace(connection), keys.pace_evidence(connection)
    if (stored := await store.command("GET", name, key=name)) is None:
        return None
    return pace_or_none(stored, await store.command("HMGET", evidence, *NOTED, key=evidence))


async def _pause(store: Store, connection: int) -> Pause | None:
    name = keys.pause(connection)
    return pause_or_none(await store.command("GET", name, key=name), now_us=int(time.time() * MICROS))


async def _learned(store: Store, connection: int) -> State | None:
    state = await in_flight.read(store, connection)
    return state if state is not None and state.at_us > (time.time() - _LATELY_S) * MICROS else None


async def _waiting(store: Store, connection: int) -> tuple[int, int, list[ThrottleEvent]]:
    name = keys.events(connection)
    count = await store.command("XLEN", name, key=name)
    if not count:
        return connection, 0, []
    entries = await store.command("XREVRANGE", name, "+", "-", "COUNT", _UNDRAINED, key=name)
    return connection, count, [event for entry in entries if (event := _event(*entry)) is not None]


def _event(entry_id: bytes, flat: list[bytes]) -> ThrottleEvent | None:
    try:
        mark = ALONE if b"alone" in flat else ""
        return recorded.event(f"{mark}{entry_id.decode()}", flat[flat.index(b"event") + 1].decode())
    except (ValueError, LookupError):
        return None  # The record keeps it as a dead letter; the page shows what can be read.
