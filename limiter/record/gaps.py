"""Noting where the record is incomplete: what the store dropped before it was stored."""

from __future__ import annotations

import logging

from django.db.models import Max

from limiter.models import RecordGap
from limiter.record import chain, turn
from limiter.record.chain import Draft
from limiter.record.streams import Standing

log = logging.getLogger(__name__)


def note(stream: str, standing: Standing) -> RecordGap | None:
    """Note what a stream has lost beyond what is noted already."""
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
