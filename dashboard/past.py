"""What pages show of the time before anybody watched: the last quarter of an hour, the last hour, p95 and cuts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial

from django.db import Error as DatabaseFault

from dashboard import latencies, recorded
from dashboard.flights import Flights, TooManyFlights
from dashboard.lately import Lately
from dashboard.live_lines import KEPT
from dashboard.readings import TenantReading
from limiter.core.store import Store
from limiter.demand import series
from limiter.demand.coverage import Covered
from limiter.demand.points import Demand
from limiter.demand.recent import KEPT_S
from limiter.live.queries import Aside
from limiter.stores.errors import StoreError

_AT_ONCE = 20
"""Tenants of one query."""


class Past:
    """One per worker."""

    def __init__(self, store: Store, aside: Aside, reads: Flights) -> None:
        self._store = store
        self._aside = aside
        self._reads = reads
        self._lately = Lately(store, self._read_demand)

    def forget(self, kept: Collection[str]) -> None:
        """Keep the demand of these tenants only."""
        self._lately.forget(kept)

    async def read_lately(self, readings: Sequence[TenantReading], *, patience_s: float) -> None:
        """Update their last quarter of an hour, as far as it is read in time; the reading goes on."""
        now = max((each.now_s for each in readings), default=0)
        of: defaultdict[int, set[str]] = defaultdict(set)
        for each in readings:
            of[each.connection_id].add(each.tenant_id)
        looks = [
            self._reads.join(
                ("demand", connection, frozenset(some)), partial(self._lately.look, connection, some, now=now)
            )
            for connection, some in of.items()
            if connection
        ]
        await _as_long_as(patience_s, looks)
        covered = await self.known(now, patience_s) if any(each.unwatched for each in readings) else None
        for each in readings:
            each.remember(self._lately.of(each.tenant_id), covered)
        await self._read_hours([each for each in readings if not each.hour_known], now=now, patience_s=patience_s)

    async def known(self, now: int, patience_s: float) -> list[Covered] | None:
        """The times of the last quarter of an hour of which all is known; None if that is not read in time."""
        flight = self._reads.join(("known", now), partial(recorded.known, self._store, self._aside, now - KEPT_S, now))
        with suppress(DatabaseFault, StoreError, TimeoutError, TooManyFlights):
            async with asyncio.timeout(patience_s):
                return await flight
        return None

    async def _read_hours(self, readings: Sequence[TenantReading], *, now: int, patience_s: float) -> None:
        """Read the last hour of those whose peaks are not known, as far as it is read in time; the reading goes on."""
        flights = []
        for start in range(0, len(readings), _AT_ONCE):
            some = list(readings[start : start + _AT_ONCE])
            name = ("hour", frozenset(each.tenant_id for each in some))
            flights.append(self._reads.join(name, partial(self._read_hour, some, now)))
        await _as_long_as(patience_s, flights)

    async def _read_hour(self, readings: Sequence[TenantReading], now: int) -> None:
        """By the minute, from the database: the store's last minutes are in the last quarter of an hour."""
        start, end = now // 60 * 60 - 3_540, now // 60 * 60 + 60
        names = [each.tenant_id for each in readings]
        found = await self._aside.run(series.of_tenants, names, start, end, every_s=60)
        for each in readings:
            each.take_hour(found.get(each.tenant_id, Demand()))

    async def _read_demand(self, tenant_ids: Collection[str], start: int, end: int) -> dict[str, Demand]:
        return await self._aside.run(series.of_tenants, list(tenant_ids), start, end)

    async def read_latency(self, reading: TenantReading, *, patience_s: float) -> None:
        """Read its p95 and its cuts of the time before anybody watched, as far as that is read in time.

        The reading goes on, and a frame that comes before it has ended joins it.
        """
        if reading.latency_known or reading.suspended:
            return
        with suppress(DatabaseFault, TimeoutError, TooManyFlights):
            async with asyncio.timeout(patience_s):
                await self._reads.join(("latency", reading.tenant_id), partial(self._read_latency_of, reading))

    async def _read_latency_of(self, reading: TenantReading) -> None:
        now, multiplier = int(reading.at), reading.multiplier
        read = partial(latencies.before, reading.tenant_id, now, seconds=KEPT, multiplier=multiplier)
        reading.take_latency(await self._aside.run(read))


async def _as_long_as(patience_s: float, flights: Iterable[Awaitable[object]]) -> None:
    """Wait for these together; they go on, and a failure leaves the last numbers."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await asyncio.gather(*flights, return_exceptions=True)
