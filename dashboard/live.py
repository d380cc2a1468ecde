"""The present data of this process for the live pages: read at most once a second, however many viewers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import Error as DatabaseFault

from dashboard import counted_values, deployment, figures, stored
from dashboard.busiest import Busiest
from dashboard.charting import Charting, Wanted
from dashboard.deltas import Frame
from dashboard.deployment import Deployment
from dashboard.flights import Flights, TooManyFlights
from dashboard.limit_rows import all_rows
from dashboard.messages import overview_frame, pool_frame, since, tenant_frame
from dashboard.past import Past
from dashboard.pools import Pools
from dashboard.readings import READ_EVERY_S, TenantReading
from dashboard.shared_paces import SharedPaces
from dashboard.stored import StoredReadings
from dashboard.streams import FIGURES_KEPT
from dashboard.topics import PoolView, StreamTopic
from limiter.gateway.runtime import Runtime
from limiter.live.queries import Aside
from limiter.stores.errors import StoreError
from quota_platform.base.lean.problem import Problem

PATIENCE_S = 0.5
"""How long a frame waits for the database if it can use an earlier reading."""
FIRST_PATIENCE_S = 10.0
KEPT_S = 600.0
"""How long the history of a tenant that nobody watches any more is kept, for who reloads a page."""
SETS_PER_S = 25
"""Different sets of tenants that the database is asked about each second; of more each has its turn less often."""
_WANTED_S = 5.0
_NEVER = float("-inf")
_MAX_LOADS = 64
_AT_ONCE = 20
"""Tenants taken in one go: hundreds would hold up callers for as long as they take."""

log = logging.getLogger(__name__)


class Live:
    """One per worker. Viewers share the readings; the caller decides who may see which tenant."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        every_s: float = READ_EVERY_S,
        kept_s: float = KEPT_S,
        read_stored: Callable[[frozenset[str]], StoredReadings] = stored.read,
        busiest: Busiest | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = runtime.gateway
        self._every_s = every_s
        self._kept_s = kept_s
        self._read_stored = read_stored
        self._clock = clock
        self._readings: dict[str, TenantReading] = {}
        self._wanted_at: dict[str, float] = {}
        self._read_at: dict[str, float] = {}
        self._stored: dict[Hashable, tuple[float, StoredReadings]] = {}
        self._busiest = busiest or Busiest(runtime.gateway.store)
        self._deployment, self._deployment_at = Deployment(), _NEVER
        self._flights = Flights(most=_MAX_LOADS)
        self._reads = Flights(most=100_000)
        self._aside = Aside(4, name="dashboard", keep=True)
        self._past = Past(runtime.gateway.store, self._aside, self._reads)
        self._charting = Charting(runtime.gateway.store, self._aside)
        self._paces = SharedPaces(runtime.gateway.store, clock=clock)
        self._pools = Pools(runtime.gateway.store, self._aside, self._tenant, self._paces, clock=clock)
        self._unreadable: set[str] = set()
        self._unavailable_since: float | None = None
        self._database_unavailable_since: float | None = None

    def __len__(self) -> int:
        """How many tenants and sets of tenants something is kept of."""
        return len(self._readings) + len(self._stored)

    async def choose(self, topics: Iterable[StreamTopic]) -> set[str]:
        """The tenants that these pages need read now: of very many those that matter most."""
        names: set[str] = set()
        for topic in topics:
            if topic.is_large:
                with suppress(StoreError):  # reading will note it, too
                    await self._reads.join(topic, partial(self._busiest.look, topic))
            names |= self._names(topic)
        return names

    def _names(self, topic: StreamTopic) -> frozenset[str]:
        if topic.pool:
            return frozenset()
        return self._busiest.of(topic).tenant_ids if topic.is_large else topic.tenant_ids

    def _shown(self, topic: StreamTopic) -> list[TenantReading]:
        return [self._readings[name] for name in sorted(self._names(topic)) if name in self._readings]

    async def read(self, tenant_ids: Collection[str]) -> None:
        """Update these tenants' numbers from the store; an unavailable store leaves the last ones."""
        now = self._clock()
        self._wanted_at |= dict.fromkeys(tenant_ids, now)
        readings = [self._readings.setdefault(name, TenantReading(name)) for name in tenant_ids]
        stale = [each for each in readings if self._is_due(each, now)]
        self._read_at |= {each.tenant_id: now for each in stale}
        results: dict[str, BaseException | None] = {}
        for start in range(0, len(stale), _AT_ONCE):
            some = stale[start : start + _AT_ONCE]
            flights = [self._reads.join(each.tenant_id, partial(each.read, self._gateway)) for each in some]
            read = await asyncio.gather(*flights, return_exceptions=True)
            results |= {each.tenant_id: result for each, result in zip(some, read, strict=True)}
        self._note(results)
        await self._reads.join("", self._read_deployment)
        await self._past.read_lately([each for each in readings if each.recent is not None], patience_s=PATIENCE_S)

    def _is_due(self, reading: TenantReading, now: float) -> bool:
        """Counted from start to start: one that took long makes the next no later. What never was read is awaited."""
        return not reading.at or now - self._read_at.get(reading.tenant_id, _NEVER) >= self._every_s

    async def frame(self, topic: StreamTopic) -> Frame:
        """The frame of a topic whose tenants were read.

        Raises a database fault, TimeoutError or TooManyFlights while nothing was ever read for it.
        """
        if topic.pool:
            return await self._pool_frame(topic, topic.pool)
        known, readings = await self._known(topic), self._shown(topic)
        crowd = self._busiest.of(topic) if topic.is_large else None
        if new := [each for each in readings if each.recent is None]:
            await self._past.read_lately(new, patience_s=FIRST_PATIENCE_S)
        units = {reading.connection_id for reading in readings} | (crowd.connections if crowd else set())
        data = self._deployment.data(units)
        rest: dict[str, Any] = {"platform": data, "degraded": self._degraded()}
        known = self._with_undrained(known, topic)
        if topic.page == "tenant":
            await self._past.read_latency(readings[0], patience_s=PATIENCE_S)
            values = await counted_values.lines(self._gateway.store, readings[0])
            pace = await self._paces.read(readings[0].connection_id) if readings[0].paces else None
            frame = tenant_frame(readings[0], known, **rest, values=values, pace=pace)
        else:
            frame = overview_frame(readings, known, **rest, rows=await all_rows(readings, known), crowd=crowd)
        frame["summary"]["degraded"] = rest["degraded"] or self._without_database()
        return frame

    async def _pool_frame(self, topic: StreamTopic, view: PoolView) -> Frame:
        reading = await self._reads.join(("pool", *view[:2]), partial(self._pools.read, *view[:2]))
        data, degraded = self._deployment.data({view.connection}), self._degraded()
        frame = pool_frame(reading, topic, platform=data, degraded=degraded)
        frame["summary"]["degraded"] = degraded or self._without_database()
        return frame

    async def _tenant(self, name: str) -> TenantReading:
        await self.read([name])
        return self._readings[name]

    async def before(self, topic: StreamTopic) -> list[Frame]:
        """The figures of calls in the two minutes before now, a second each, as frames would have had them."""
        readings, crowd = self._shown(topic), self._busiest.of(topic) if topic.is_large else None
        now = crowd.now_s if crowd else max((each.now_s for each in readings), default=0)
        covered = await self._past.known(now, FIRST_PATIENCE_S) if now else None
        return figures.before(readings, crowd, seconds=FIGURES_KEPT, covered=covered)

    async def chart(self, topic: StreamTopic, asked: Wanted) -> Frame:
        """A chart of a tenant that was read; raises a database fault and TooManyFlights."""
        (name,) = topic.tenant_ids
        return await self._charting.chart(self._readings[name], asked)

    def forget(self, watched: Iterable[StreamTopic]) -> None:
        """Keep only watched tenants, and for a while those that were watched."""
        topics = list(watched)
        sets = {_place(topic) for topic in topics}
        self._stored = {place: held for place, held in self._stored.items() if place in sets}
        watched_now = {name for topic in topics for name in self._names(topic)}
        self._pools.forget({(topic.pool.connection, topic.pool.limit) for topic in topics if topic.pool})
        self._busiest.forget([topic for topic in topics if topic.is_large])
        old = self._clock() - self._kept_s
        for name in [name for name, at in self._wanted_at.items() if at < old and name not in watched_now]:
            del self._wanted_at[name], self._readings[name]
            self._read_at.pop(name, None)
        self._past.forget(self._readings)

    async def close(self) -> None:
        await self._flights.close()
        await self._reads.close()
        await self._charting.close()
        await self._aside.close()

    def _note(self, results: Mapping[str, BaseException | None]) -> None:
        """A tenant that cannot be read keeps its last numbers, and is no trouble for the others."""
        if any(isinstance(result, StoreError) for result in results.values()):
            self._unavailable_since = self._unavailable_since or time.time()
        elif results:
            self._unavailable_since = None
        for name, result in results.items():
            if result is None or isinstance(result, StoreError | Problem):
                self._unreadable.discard(name)
            elif name not in self._unreadable:
                self._unreadable.add(name)
                log.error("The numbers of tenant %s cannot be read", name, exc_info=result)

    async def _known(self, topic: StreamTopic) -> StoredReadings:
        """The database's part. Each set of tenants has its own flight, so a slow one delays no other."""
        place = _place(topic)
        at, known = self._stored.get(place, (_NEVER, None))
        pace_s = max(self._every_s, len(self._stored) // SETS_PER_S)
        if known is not None and self._clock() - at < pace_s:
            return known
        try:
            async with asyncio.timeout(FIRST_PATIENCE_S if known is None else PATIENCE_S):
                return await self._flights.join(place, partial(self._load, topic))
        except (DatabaseFault, TimeoutError, TooManyFlights):
            if known is None:
                raise
            return known

    async def _load(self, topic: StreamTopic) -> StoredReadings:
        started = self._clock()
        try:
            known = await self._aside.run(self._read_known, topic, self._names(topic))
        except DatabaseFault as error:
            if self._database_unavailable_since is None:
                log.warning("The live pages show no news of the database: %s", type(error).__name__)
                self._database_unavailable_since = time.time()
            raise
        self._database_unavailable_since = None
        self._stored[_place(topic)] = (started, known)
        return known

    def _read_known(self, topic: StreamTopic, shown: frozenset[str]) -> StoredReadings:
        if topic.is_large:
            return stored.read_of_many(shown, of=None if topic.every else topic.tenant_ids)
        return self._read_stored(shown)

    def _with_undrained(self, known: StoredReadings, topic: StreamTopic) -> StoredReadings:
        """With the refusals that are not in the database yet."""
        held = {event.decision_id for event in known.events}
        undrained = self._deployment.undrained
        seen = [e for e in undrained if topic.every or e.tenant_id in topic.tenant_ids]
        waiting = [e for e in seen if e.decision_id not in held]
        refused, shadow = Counter(known.refused), Counter(known.shadow)
        for event in waiting:
            counted = shadow if event.shadow else refused
            counted[event.tenant_id, event.action_id, event.limit_name] += event.count
        return replace(known, events=[*known.events, *waiting], refused=refused, shadow=shadow)

    async def _read_deployment(self) -> None:
        now = self._clock()
        if now - self._deployment_at < self._every_s:
            return
        wanted = [name for name, at in self._wanted_at.items() if at > now - _WANTED_S]
        connections = {self._readings[name].connection_id for name in wanted} - {0} | self._busiest.connections()
        try:
            self._deployment = await deployment.read(self._gateway.store, connections)
        except StoreError:
            self._unavailable_since = self._unavailable_since or time.time()
            return
        self._deployment_at = now

    def _degraded(self) -> Frame | None:
        return since("degraded.store", self._unavailable_since or self._gateway.degraded_since)

    def _without_database(self) -> Frame | None:
        return since("degraded.database", self._database_unavailable_since)


def _place(topic: StreamTopic) -> Hashable:
    """What pages of the same tenants share."""
    return topic if topic.is_large else topic.tenant_ids
