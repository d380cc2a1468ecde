"""How far the record is behind the store, and how the periodic tasks went: for pages and probes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from limiter.core import keys
from limiter.record import runs, streams
from limiter.record.runs import Run
from limiter.record.scripts import Client

LATE_S = 30.0
"""Refusals that wait longer than this are worth a look."""


@dataclass(frozen=True, slots=True)
class RecordState:
    """``waiting``: events that are not in the database yet. ``lag_s``: how long the oldest has waited."""

    waiting: int = 0
    lag_s: float = 0.0
    tasks: dict[str, Run] = field(default_factory=dict)

    @property
    def late(self) -> bool:
        return self.lag_s > LATE_S


def behind(client: Client) -> RecordState:
    """Ask the store."""
    waiting, lag_s, now = 0, 0.0, time.time()
    for connection in streams.connections(client):
        name = keys.events(connection)
        waiting += int(client.xlen(name))
        lag_s = max(lag_s, lag_of(client.xrange(name, count=1), now=now))
    return RecordState(waiting, lag_s, runs.last(client))


def lag_of(oldest: Any, *, now: float) -> float:
    """How long the first of these entries has waited, in seconds."""
    return max(0.0, now - int(oldest[0][0].partition(b"-")[0]) / 1000) if oldest else 0.0
