"""Noting where the record is incomplete: what the store dropped before it was stored."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from django.db.models import Max

from limiter.record import chain, turn
from limiter.record.chain import Draft
from limiter.record.models import RecordGap
from limiter.record.streams import Standing, StreamEntry

log = logging.getLogger(__name__)


def lost_alone(stream: str, entry: StreamEntry) -> None:
    """Note what a worker decided without the store and could not keep; a second telling changes nothing."""
    lost, generation = int(entry.fields["lost"]), f"alone/{entry.id}"
    after, before = (_moment(entry.fields.get(name, "")) for name in ("from", "until"))
    with turn.taken(turn.CHAIN):
        data = {"lost": lost, "after": after, "before": before}
        _, new = RecordGap.objects.get_or_create(stream=stream, generation=generation, total=lost, defaults=data)
        if new:
            chain.append([Draft("gap", payload={"stream": stream, "lost": lost, "total": lost})])
            log.error("a worker without the store could not keep %d refusals; the record has a gap", lost)


def note(stream: str, standing: Standing) -> RecordGap | None:
    """Note the entries that a stream has lost since the last note."""
    if standing.lost == 0:
        return None
    with turn.taken(turn.CHAIN):
        noted = RecordGap.objects.filter(stream=stream, generation=standing.generation)
        before = noted.aggregate(most=Max("total"))["most"] or 0
        if standing.lost <= before:
            return None
        gap = RecordGap.objects.create(
            stream=stream,
            generation=standing.generation,
            lost=standing.lost - before,
            total=standing.lost,
            after=standing.after,
            before=standing.before,
        )
        chain.append([Draft("gap", payload={"stream": stream, "lost": gap.lost, "total": gap.total})])
    log.error("%s lost %d entries before they were stored; the record has a gap", stream, gap.lost)
    return gap


def _moment(micros: str) -> datetime | None:
    return datetime.fromtimestamp(int(micros) / 1e6, UTC) if micros.isdecimal() else None
