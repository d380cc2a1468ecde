"""From the store into rows: each minute once it is over, each batch of it once however often it is tried."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

from django.db import InterfaceError, OperationalError

from limiter.core import keys
from limiter.core.versioned import Unreadable
from limiter.demand import blocks, coverage, lines
from limiter.demand.models.block import MINUTE_S
from limiter.demand.points import Demand
from limiter.record import batches, runs, streams, turn
from limiter.record.models import UsageBatch
from limiter.record.scripts import Client
from limiter.stores.scripts import Script

LATE_S = 5
"""Workers send their counts of a minute until so long after it; later ones are added when they come."""
_DONE = Script(__file__, "done")
log = logging.getLogger(__name__)


def store_demand() -> int | None:
    """Store the demand of minutes that are over; how many minutes, or None when somebody else is at it."""
    return runs.alone("store_demand", store_all, at_most_s=60)


def store_all(client: Client, *, now_s: float | None = None) -> int:
    """The same for all connections; what goes wrong with one is raised when the others have had their turn."""
    stored, wrong = 0, None
    for connection in streams.connections(client):
        try:
            stored += drain(client, connection, now_s=now_s)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.exception("The demand of connection %d could not be stored; it is tried again", connection)
            wrong = error
    coverage.keep(client, before=_over(_clock(client, keys.recorded()) if now_s is None else now_s))
    if wrong is not None:
        raise wrong
    return stored


def drain(client: Client, connection: int, *, now_s: float | None = None) -> int:
    """Store the minutes of a connection that are over by the store's clock (``now_s`` replaces it), oldest first.

    Raises Unreadable, when the others are stored, for a minute of which a newer release has written a row.
    """
    name = keys.demand(connection)
    minutes: Any = client.zrange(name, 0, -1)
    if not minutes:
        return 0
    if now_s is None:
        now_s = _clock(client, name)
    stored, wrong = 0, None
    for minute in sorted(map(int, minutes)):
        if (minute + 1) * MINUTE_S > _over(now_s):
            break
        try:
            _store_minute(client, connection, minute)
            stored += 1
        except Unreadable as error:
            wrong = error
    if wrong is not None:
        raise wrong
    return stored


def _store_minute(client: Client, connection: int, minute: int) -> None:
    name = keys.demand_of(connection, minute)
    while (batch := batches.take(client, name)) is not None:
        store(batch.name, read(batch.counts), minute=minute)
        batches.drop(client, name, batch)
    _DONE(client, (keys.demand(connection), name, keys.taken(name)), minute)


def read(counts: dict[str, str]) -> dict[str, Demand]:
    """The fields of a minute by tenant."""
    found: dict[str, Demand] = defaultdict(Demand)
    for field, text in counts.items():
        known = lines.of_field(field)
        if known is None:
            log.error("nobody knows the demand %s; it is left out", field)
            continue
        second, tenant_id = known
        found[tenant_id].add(lines.read(text, second))
    return found


def store(batch: str, of: dict[str, Demand], *, minute: int) -> bool:
    """Add a batch to the rows of its minute; False when it was added before."""
    with turn.taken(blocks.TURN):
        _, new = UsageBatch.objects.get_or_create(batch=batch)
        if new:
            blocks.add(minute * MINUTE_S, MINUTE_S, {name: demand for name, demand in of.items() if demand})
    return new


def _over(now_s: float) -> int:
    """The end of the last minute that is over, and of which workers have sent all they do not send late."""
    return int((now_s - LATE_S) // MINUTE_S) * MINUTE_S


def _clock(client: Client, name: str) -> float:
    """The clock of the node that holds these keys, which decided the calls."""
    seconds, micros = client.eval("return redis.call('TIME')", 1, name)
    return int(seconds) + int(micros) / 1_000_000
