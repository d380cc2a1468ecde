"""The demand of any span of time for a chart: what waits in the store, and what the database has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboard.spans import Span
from limiter.core.store import Store
from limiter.demand import coverage, series, undrained
from limiter.demand.coverage import JOINED_S, Covered
from limiter.demand.points import Demand
from limiter.live.queries import Aside
from limiter.stores.errors import StoreError

REACH_S = 3_600
"""So long before a span its chart looks for units in use at its start."""
_MOVING_S = 180
"""How long demand may take into the database."""


@dataclass(frozen=True, slots=True)
class RecordedDemand:
    """``demand``: by steps of the span. In the seconds that are ``covered`` one without an entry had no call."""

    demand: Demand
    covered: Sequence[Covered]


async def read(store: Store, aside: Aside, tenant_id: str, connection: int, span: Span, *, now: int) -> RecordedDemand:
    """A tenant's demand in the span and in the time before it that still counts at its start.

    The store is read first: a minute that moves to the database meanwhile is in one of them at least. Without the store
    the last minutes are not known.
    """
    start = span.start - REACH_S + -REACH_S % span.step_s
    until = min(span.end, now + 1)
    waiting, latest = Demand(), list[Covered]()
    try:
        found = await undrained.read_lines_between(store, connection, [tenant_id], start, until)
        waiting = undrained.joined(found).get(tenant_id, waiting)
        latest = await coverage.waiting(store, start, until)
    except StoreError:
        until = min(until, now - _MOVING_S)
    firsts = [second for _, second, _ in waiting.each_calls()]
    parted = max(start, min(firsts, default=span.end) // span.step_s * span.step_s)
    begin, demand = await aside.run(_stored, tenant_id, start, min(parted, span.end), span, waiting)
    since = max(start, min([*firsts, now] if begin is None else [begin]))
    covered = await aside.run(_covered, since, until, latest)
    return RecordedDemand(demand, coverage.together(covered, _in_use(demand, span)))


async def known(store: Store, aside: Aside, start: int, until: int) -> list[Covered]:
    """The times from ``start`` until before ``until`` in which a second without a call had none; raises StoreError."""
    latest = await coverage.waiting(store, start, until)
    return await aside.run(_covered, start, until, latest)


def _stored(tenant_id: str, start: int, parted: int, span: Span, waiting: Demand) -> tuple[int | None, Demand]:
    """The database's part, and with it the store's. For a thread.

    Both may hold a second while it moves, so that from ``parted`` on they are compared second by second.
    """
    demand = series.between(tenant_id, start, parted, every_s=span.step_s)
    newest = series.between(tenant_id, parted, span.end)
    newest.cover(waiting)
    demand.add(newest.every(span.step_s))
    return series.begin(), demand


def _in_use(demand: Demand, span: Span) -> Iterator[Covered]:
    """The steps with calls, which a worker of an earlier release may have recorded."""
    for _, time, _ in demand.each_calls():
        if span.start <= time < span.end:
            yield Covered(time, time + span.step_s)


def _covered(since: int, until: int, latest: list[Covered]) -> list[Covered]:
    """The times between ``since`` and ``until`` of which all demand is known. For a thread.

    All of it before the first time that is in the record: before, workers did not say when they recorded.
    """
    first, spans = coverage.between(since, until)
    known = coverage.together(spans, latest)
    begins = min([each.start for each in known] if first is None else [first], default=until)
    if begins > since:
        known = coverage.together([Covered(since, begins)], known)
    if known and until - known[-1].end < JOINED_S:
        known[-1] = Covered(known[-1].start, until)
    return [each for each in known if each.start < until]
