"""Changes of adaptive multipliers, from the store's streams into rows and the chain."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from limiter.core import adaptive, keys
from limiter.core.types import MICROS, PPM
from limiter.core.versioned import Form
from limiter.record import chain, turn
from limiter.record.chain import Draft
from limiter.record.models import MultiplierChange
from limiter.record.scripts import Client
from limiter.record.streams import EventStream, StreamEntry
from limiter.stores.scripts import Script

KIND = "multiplier"
GRACE_US = 2_000_000
"""A multiplier that ended this long ago explains no event any more."""
_AT_ONCE = 1_000
_LAPSE = Script(__file__, "lapse")


def of(client: Client, connection: int) -> EventStream:
    """The stream of the changes under a connection."""
    return EventStream(client, keys.multiplier_changes(connection), connection=connection)


def note_lapses(client: Client, connection: int) -> int:
    """Write down which multipliers ended by themselves, at the time they did; how many. After the events are stored.

    Only those are read that cut and whose end has come: evidence is kept of everybody who called in a week.
    """
    names = keys.evidence(connection), keys.multiplier_changes(connection), keys.cut(connection)
    ended: Any = client.zrangebyscore(names[2], "-inf", int(time.time() * MICROS) - GRACE_US)
    noted = 0
    for at in range(0, len(ended), _AT_ONCE):
        fields = ended[at : at + _AT_ONCE]
        values: Any = client.hmget(names[0], fields)
        for field, value in zip(fields, values, strict=True):
            if value is None:
                client.zrem(names[2], field)
            elif adaptive.shown_or_none(value) is not None:
                noted += _LAPSE(client, names, field, value, GRACE_US)
    return noted


def write(stream: EventStream, entries: Sequence[StreamEntry]) -> int:
    """Store changes; raises ValueError or LookupError for an entry that is none."""
    rows = [change(entry.stream_id, entry.fields) for entry in entries]
    with turn.taken(turn.CHAIN):
        ids = [row.stream_id for row in rows]
        stored = set(MultiplierChange.objects.filter(stream_id__in=ids).values_list("stream_id", flat=True))
        new = [row for row in rows if row.stream_id not in stored]
        MultiplierChange.objects.bulk_create(new)
        chain.append([_draft(row) for row in new])
    return len(new)


def change(stream_id: str, fields: Mapping[str, str]) -> MultiplierChange:
    """The row that an entry stands for; raises ValueError or LookupError when it is incomplete."""
    return FORM.take({"stream_id": stream_id, **fields})


def _change(fields: Mapping[str, str]) -> MultiplierChange:
    return MultiplierChange(
        stream_id=fields["stream_id"],
        at=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(fields["at"])),
        tenant_id=fields["tenant"],
        action_id=fields["action"],
        before=int(fields["before"]) / PPM,
        after=int(fields["after"]) / PPM,
        p95_ms=int(fields.get("p95_us", 0)) / 1000,
        samples=int(fields.get("samples", 0)),
        threshold_ms=int(fields.get("threshold_us", 0)) / 1000,
        pushed_back=int(fields.get("pushback", 0)) / PPM,
    )


FORM = Form("change of a multiplier", {1: _change})


def _draft(row: MultiplierChange) -> Draft:
    names = ("stream_id", "action_id", "before", "after", "p95_ms", "samples", "threshold_ms", "pushed_back")
    payload = {name: getattr(row, name) for name in names}
    return Draft(KIND, tenant_id=row.tenant_id, at=row.at, payload=payload)
