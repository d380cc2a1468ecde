"""The record of demand as readers ask for it: a tenant's calls and limits between two seconds, from the database.

The newest one or two minutes wait in the store (:mod:`limiter.demand.undrained`). Who may see a tenant is the caller's
to check.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from django.db.models import Min, QuerySet

from limiter.demand import blocks
from limiter.demand.models import DemandBlock
from limiter.demand.models.block import HOUR_S, MINUTE_S
from limiter.demand.packed import Units
from limiter.demand.points import Demand

_ROWS = 50
"""Rows held at a time: one of a busy hour takes some hundred kilobytes."""


def between(tenant_id: str, start: int, end: int, *, action_id: str | None = None, every_s: int = 1) -> Demand:
    """A tenant's demand from second ``start`` until before ``end``, of all actions or of one. For a thread.

    By the second; where it has been rolled up, by the minute, under the minute's first second. ``every_s``: by spans of
    so many seconds, for which ``start`` and ``end`` must be multiples of it; it takes a fraction of time and memory.
    """
    found = of_tenants([tenant_id], start, end, every_s=every_s).get(tenant_id, Demand())
    return found.between(start, end, action_id=action_id)


def of_tenants(tenant_ids: list[str], start: int, end: int, *, every_s: int = 1) -> dict[str, Demand]:
    """The same for several tenants in one query; those without demand are absent."""
    rows = _rows(tenant_ids, start, end).order_by()
    found = blocks.by_tenant(rows.iterator(chunk_size=_ROWS), every_s=every_s)
    demands = {name: demand.between(start, end) for name, demand in found.items()}
    return {name: demand for name, demand in demands.items() if demand}


def units(tenant_ids: list[str], start: int, end: int) -> Iterator[tuple[str, list[Units]]]:
    """Of one tenant after the other, the units of allowed calls by the second, of the hours that touch the span.

    Rows that were rolled up to minutes are left out.
    """
    rows = _rows(tenant_ids, start, end).filter(step=1).order_by("tenant_id")
    for tenant_id, of in groupby(rows.iterator(chunk_size=_ROWS), key=attrgetter("tenant_id")):
        yield tenant_id, [each for block in of for each in blocks.units_of(block)]


def _rows(tenant_ids: list[str], start: int, end: int) -> QuerySet[DemandBlock]:
    return DemandBlock.objects.filter(
        tenant_id__in=tenant_ids,
        start__gt=blocks.moment(start) - timedelta(seconds=HOUR_S),
        start__lt=blocks.moment(end),
    )


def begin() -> int | None:
    """The second at which the record begins, of whichever tenant; None while the database has nothing."""
    firsts = [
        DemandBlock.objects.filter(step=step, seconds=seconds).aggregate(first=Min("start"))["first"]
        for step, seconds in ((1, MINUTE_S), (1, HOUR_S), (MINUTE_S, HOUR_S))
    ]
    known = [int(first.timestamp()) for first in firsts if first is not None]
    return min(known, default=None)
