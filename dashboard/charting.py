"""The charts of this worker's viewers: each is read once for all who look at the same, and kept for some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from dashboard import changes, charts, latencies, recorded, spans
from dashboard.charts import Around
from dashboard.flights import Flights
from dashboard.readings import TenantReading
from dashboard.spans import Span, SpanRefused
from limiter.core.store import Store
from limiter.live.queries import Aside

KEPT_S = 4.0
_MAX_KEPT = 100
_MAX_LOADS = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chart that somebody asks for: when, which line, and how many seconds earlier it is compared with (0: none)."""

    when: spans.AskedSpan
    line: str = ""
    earlier_s: int = 0


def wanted(given: Mapping[str, str]) -> Wanted:
    """The parameters of a request; raises SpanRefused."""
    beside = given.get("beside", "")
    if beside and beside not in charts.BESIDE_S:
        raise SpanRefused(_("beside: give one of {names}, or nothing.").format(names=", ".join(charts.BESIDE_S)))
    return Wanted(spans.asked(given), given.get("line", ""), charts.BESIDE_S.get(beside, 0))


class Charting:
    """One per worker. Raises a database fault and TooManyFlights."""

    def __init__(self, store: Store, aside: Aside, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._aside = aside
        self._clock = clock
        self._flights = Flights(most=_MAX_LOADS)
        self._kept: dict[tuple[str, Span, str, int], tuple[float, dict[str, Any]]] = {}

    async def chart(self, reading: TenantReading, asked: Wanted) -> dict[str, Any]:
        """The chart of a tenant that was read."""
        span = asked.when.span(reading.now_s, seconds_kept_days=settings.ENV.DEMAND_SECONDS_KEPT_DAYS)
        name = reading.tenant_id, span, asked.line, asked.earlier_s
        at, kept = self._kept.get(name, (0.0, None))
        if kept is not None and self._clock() - at < KEPT_S:
            return kept
        return await self._flights.join(name, partial(self._read, reading, asked, span))

    async def _read(self, reading: TenantReading, asked: Wanted, span: Span) -> dict[str, Any]:
        demand = await self._recorded(reading, span)
        earlier = await self._recorded(reading, span.earlier(asked.earlier_s)) if asked.earlier_s else None
        p95_ms = await self._aside.run(latencies.p95_by_step, reading.tenant_id, span)
        notes = await self._aside.run(changes.between, reading.tenant_id, span.start, span.end)
        around = Around(p95_ms, notes, earlier, asked.earlier_s)
        made = charts.chart(reading, demand, span, line=asked.line, around=around)
        self._keep((reading.tenant_id, span, asked.line, asked.earlier_s), made)
        return made

    async def _recorded(self, reading: TenantReading, span: Span) -> recorded.RecordedDemand:
        return await recorded.read(
            self._store, self._aside, reading.tenant_id, reading.connection_id, span, now=reading.now_s
        )

    def _keep(self, name: tuple[str, Span, str, int], made: dict[str, Any]) -> None:
        now = self._clock()
        self._kept = {each: held for each, held in self._kept.items() if now - held[0] < KEPT_S}
        if len(self._kept) < _MAX_KEPT:
            self._kept[name] = now, made

    async def close(self) -> None:
        await self._flights.close()
