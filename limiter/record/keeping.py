"""The periodic work of keeping the record, each kind one run at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError

from limiter.record import anchors, events, multipliers, overrides, retention, rollup, runs, streams, usage
from limiter.record.drain import drain
from limiter.record.scripts import Client
from quota_platform.base import changes

STORE_EVENTS, STORE_USAGE = "store_events", "store_usage"
_BUDGET_S = 8.0
"""After this a run ends and leaves the rest to the next, so that no connection waits behind a busy one for long."""

log = logging.getLogger(__name__)


def store_events() -> int | None:
    """Store refusals and changes of multipliers; how many entries, or None when somebody else is at it."""
    return runs.alone(STORE_EVENTS, lambda client: store_all(client, until=time.monotonic() + _BUDGET_S), at_most_s=30)


def store_all(client: Client, *, until: float | None = None) -> int:
    """Store what all connections' streams and floods hold. Any number may do this at once."""

    def store(connection: int) -> int:
        stored = drain(events.of(client, connection), events.write, until=until)
        stored += events.store_floods(client, connection)
        multipliers.note_lapses(client, connection)
        return stored + drain(multipliers.of(client, connection), multipliers.write, until=until)

    return _each(client, store)


def store_usage() -> int | None:
    """Store usage; how many counts."""
    return runs.alone(STORE_USAGE, store_all_usage, at_most_s=60)


def store_all_usage(client: Client) -> int:
    """Store what all connections' calls were counted as. Any number may do this at once."""
    return _each(client, lambda connection: usage.drain(client, connection))


def note_overrides() -> int | None:
    """Enter starts and ends of overrides; how many."""
    return runs.alone("note_overrides", lambda client: overrides.note(), at_most_s=60)


def anchor() -> int | None:
    """Write the day's anchor; how many chains it holds."""
    return runs.alone("anchor_record", lambda client: anchors.write(), at_most_s=300)


def prune() -> int | None:
    """Delete events, usage and notes of edits that are older than they are kept; how many rows."""
    return runs.alone("prune", lambda client: retention.prune() + rollup.prune() + changes.prune(), at_most_s=600)


def _each(client: Client, store: Callable[[int], int]) -> int:
    """Store every connection's part; what goes wrong with one is raised when the others have had their turn.

    Not so when the database is unavailable: then no connection's part can be stored.
    """
    stored = 0
    wrong: list[Exception] = []
    for connection in streams.connections(client):
        try:
            stored += store(connection)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.exception("The record of connection %d could not be stored; it is tried again", connection)
            wrong.append(error)
    if wrong:
        raise wrong[0]
    return stored
