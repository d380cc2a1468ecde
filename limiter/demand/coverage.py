"""When demand was counted at all: a second without a call then had none; any other is not known.

Every worker notes the seconds in which it counts, in the store; a task joins them to spans in the database.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, NamedTuple

from django.db.models import Min

from limiter.core import keys
from limiter.core.store import Store
from limiter.demand import blocks
from limiter.demand.models import RecordedSpan
from limiter.record import turn
from limiter.record.scripts import Client
from limiter.stores.errors import StoreError
from limiter.stores.scripts import Script

JOINED_S = 5
"""A worker that is busy or restarts may miss seconds: shorter gaps are none."""
WAITS_S = 6 * 3_600
"""How long seconds wait for the database, in the store or, while that is unavailable, in the worker."""
_AT_ONCE = 500
_COVER = Script(__file__, "cover")


class Covered(NamedTuple):
    """Seconds from ``start`` until before ``end``."""

    start: int
    end: int


class Coverage:
    """One per worker: the seconds in which it counts demand, on their way to the store."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._seconds: deque[int] = deque(maxlen=WAITS_S)
        self._newest = -1

    async def send(self) -> None:
        """Note this second; those that the store does not take stay for the next time."""
        now = int(self._clock())
        if now == self._newest:
            return
        self._newest = now
        self._seconds.append(now)
        some = list(self._seconds)[:_AT_ONCE]
        name = keys.recorded()
        try:
            await self._store.run(_COVER, (name,), WAITS_S, *(now - each for each in some))
        except StoreError:
            return
        for _ in some:
            self._seconds.popleft()


def joined(seconds: Iterable[int]) -> list[Covered]:
    """Spans of these seconds; gaps of less than ``JOINED_S`` are closed."""
    return together(Covered(second, second + 1) for second in seconds)


def keep(client: Client, *, before: int) -> None:
    """Join the seconds before ``before`` to the spans in the database, then take them out of the store."""
    found: list[Any] = client.zrangebyscore(keys.recorded(), "-inf", f"({before}")
    for span in joined(map(int, found)):
        _add(span)
    for at in range(0, len(found), _AT_ONCE):
        client.zrem(keys.recorded(), *found[at : at + _AT_ONCE])


def _add(span: Covered) -> None:
    """Make one row of this span and of those that it touches. A second time changes nothing."""
    with turn.taken(blocks.TURN):
        touched = RecordedSpan.objects.filter(
            start__lt=blocks.moment(span.end + JOINED_S), end__gt=blocks.moment(span.start - JOINED_S)
        ).order_by("start")
        rows = list(touched)
        start = min([blocks.moment(span.start), *(row.start for row in rows)])
        end = max([blocks.moment(span.end), *(row.end for row in rows)])
        if not rows:
            RecordedSpan.objects.create(start=start, end=end)
            return
        RecordedSpan.objects.filter(pk__in=[row.pk for row in rows[1:]]).delete()
        if (rows[0].start, rows[0].end) != (start, end):
            RecordedSpan.objects.filter(pk=rows[0].pk).update(start=start, end=end)


async def waiting(store: Store, start: int, end: int) -> list[Covered]:
    """The spans from ``start`` until before ``end`` that the database does not have yet; raises StoreError."""
    name = keys.recorded()
    found = await store.command("ZRANGEBYSCORE", name, start, f"({end}", key=name)
    return joined(map(int, found))


def between(start: int, end: int) -> tuple[int | None, list[Covered]]:
    """When the first span of all begins (None: there is none), and the spans of this time. For a thread."""
    first = RecordedSpan.objects.aggregate(first=Min("start"))["first"]
    rows = RecordedSpan.objects.filter(start__lt=blocks.moment(end), end__gt=blocks.moment(start)).order_by("start")
    spans = [Covered(int(row.start.timestamp()), int(row.end.timestamp())) for row in rows]
    return first and int(first.timestamp()), spans


def covers(spans: Iterable[Covered], start: int, end: int) -> bool:
    """Whether any second from ``start`` until before ``end`` lies in one of them."""
    return any(span.start < end and start < span.end for span in spans)


def together(*spans: Iterable[Covered]) -> list[Covered]:
    """All of them, in order, those that touch as one."""
    made: list[Covered] = []
    for span in sorted(chain.from_iterable(spans)):
        if made and span.start - made[-1].end < JOINED_S:
            made[-1] = Covered(made[-1].start, max(made[-1].end, span.end))
        else:
            made.append(span)
    return made
