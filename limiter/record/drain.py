"""Moving a stream's entries into the database: each exactly once, even if a worker dies at any moment.

Storing is idempotent (the rows' stream ids are unique) and an entry leaves the stream only after the transaction that
stored it, so an entry whose drainer died is stored by the next one, or found stored already.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from django.db import DatabaseError, InterfaceError, OperationalError

from limiter.core.versioned import Newer
from limiter.record import dead_letters, gaps
from limiter.record.streams import EventStream, StreamEntry

BATCH = 1_000
IDLE_MS = 30_000
"""An entry that was handed out this long ago and is not settled has been left: longer than any batch takes."""
MAX_DELIVERIES = 5
"""An entry that fails by itself this often becomes a dead letter. Until then a newer worker may understand it."""
MAX_OF_NEWER = 240
"""The same for one that says that a newer release wrote it: two hours, for a rollout to come to its end."""

Write = Callable[[EventStream, Sequence[StreamEntry]], int]
log = logging.getLogger(__name__)


def drain(
    stream: EventStream, write: Write, *, until: float | None = None, batch: int = BATCH, idle_ms: int = IDLE_MS
) -> int:
    """Store what the stream holds; returns how many entries that were.

    First the entries that others left, then new ones, until none is left or ``until`` (of ``time.monotonic``) has come.
    Raises ``OperationalError`` or ``InterfaceError`` when the database is unavailable: then nothing is settled.
    """
    standing = stream.attend()
    if standing is None:
        return 0
    gaps.note(stream.name, standing)
    stored = 0
    takes: tuple[Callable[[], list[StreamEntry]], ...] = (
        lambda: stream.claim(batch, idle_ms=idle_ms),
        lambda: stream.read(batch),
    )
    for take in takes:
        while entries := take():
            stored += _store(stream, write, entries)
            if until is not None and time.monotonic() > until:
                return stored
    return stored


def _store(stream: EventStream, write: Write, entries: Sequence[StreamEntry]) -> int:
    try:
        stored = write(stream, entries)
    except (OperationalError, InterfaceError):
        raise
    except (DatabaseError, ValueError, LookupError) as error:
        if len(entries) > 1:
            return sum(_store(stream, write, [entry]) for entry in entries)
        log.exception("entry %s of %s cannot be stored", entries[0].id, stream.name)
        return _refuse(stream, entries[0], most=MAX_OF_NEWER if isinstance(error, Newer) else MAX_DELIVERIES)
    stream.settle(entries)
    return stored


def _refuse(stream: EventStream, entry: StreamEntry, *, most: int) -> int:
    """Leave it for another try, or set it aside as a dead letter."""
    if entry.deliveries >= most:
        dead_letters.keep(entry.stream_id, stream=stream.name, fields=entry.fields, deliveries=entry.deliveries)
        stream.settle([entry])
    return 0
