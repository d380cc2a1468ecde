"""What this process knows right now for the live pages: read at most once a second, however many look."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection
from typing import Any

from asgiref.sync import sync_to_async

from dashboard import stored
from dashboard.messages import overview_frame, tenant_frame
from dashboard.readings import TenantReading
from dashboard.stored import Stored
from limiter.core import keys
from limiter.core.errors import StoreError
from limiter.gateway.heartbeat import GONE_AFTER_S
from limiter.gateway.problems import Problem
from limiter.gateway.runtime import Runtime
from limiter.models import ThrottleEvent
from limiter.record import events as recorded

EVERY_S = 0.9
_UNDRAINED = 100


class Live:
    """One per worker. Viewers share what is read; who may see which tenant is the caller's business."""

    def __init__(self, runtime: Runtime) -> None:
        self._gateway = runtime.gateway
        self._tenants: dict[str, TenantReading] = {}
        self._stored: dict[frozenset[str], tuple[float, Stored]] = {}
        self._told: dict[frozenset[str], tuple[float, dict[str, Any]]] = {}
        self._platform: tuple[float, dict[str, Any]] = (0.0, {})
        self._lock = asyncio.Lock()
        self._away_since: float | None = None

    async def overview(self, tenant_ids: Collection[str]) -> dict[str, Any]:
        """The frame of the overview page for who may see these tenants."""
        asked = frozenset(tenant_ids)
        async with self._lock:
            at, frame = self._told.get(asked, (0.0, {}))
            if time.time() - at < EVERY_S:
                return frame
            readings, known = await self._refresh(asked)
            frame = overview_frame(readings, known, platform=self._platform[1], degraded=self._degraded())
            self._told = (
                {asked: (time.time(), frame)} if len(self._told) > 500 else self._told | {asked: (time.time(), frame)}
            )
            return frame

    async def tenant(self, tenant_id: str) -> dict[str, Any]:
        """The frame of one tenant's page; its charts over longer ranges come from the database."""
        async with self._lock:
            readings, known = await self._refresh(frozenset([tenant_id]))
            return tenant_frame(readings[0], known, platform=self._platform[1], degraded=self._degraded())

    async def _refresh(self, asked: frozenset[str]) -> tuple[list[TenantReading], Stored]:
        readings = [self._tenants.setdefault(name, TenantReading(name)) for name in sorted(asked)]
        stale = [reading for reading in readings if time.time() - reading.at >= EVERY_S]
        results = await asyncio.gather(*(reading.read(self._gateway) for reading in stale), return_exceptions=True)
        self._note(results)
        await self._read_platform({reading.connection_id for reading in readings if reading.connection_id})
        return readings, await self._read_stored(asked)

    def _note(self, results: list[BaseException | None]) -> None:
        for result in results:
            if isinstance(result, StoreError):
                self._away_since = self._away_since or time.time()
                return
            # A tenant that cannot be decided for now (a broken policy) keeps its last numbers.
            if result is not None and not isinstance(result, Problem):
                raise result
        if results:
            self._away_since = None

    async def _read_stored(self, asked: frozenset[str]) -> Stored:
        at, known = self._stored.get(asked, (0.0, Stored()))
        if time.time() - at >= EVERY_S:
            known = await sync_to_async(stored.read, thread_sensitive=False)(asked)
            fresh = {event.decision_id for event in known.events}
            waiting = [e for e in self._platform[1].get("undrained", []) if e.tenant_id in asked]
            known.events.extend(event for event in waiting if event.decision_id not in fresh)
            self._stored = {asked: (time.time(), known)} if len(self._stored) > 500 else self._stored
            self._stored[asked] = (time.time(), known)
        return known

    async def _read_platform(self, connections: Collection[int]) -> None:
        if time.time() - self._platform[0] < EVERY_S:
            return
        try:
            platform = {"workers": await self._workers(), **await self._waiting(connections)}
        except StoreError:
            self._away_since = self._away_since or time.time()
            return
        self._platform = (time.time(), platform)

    async def _workers(self) -> dict[str, Any]:
        beats = await self._gateway.store.command("HVALS", keys.WORKERS, key=keys.WORKERS)
        seen = [beat for beat in map(json.loads, beats) if time.time() - beat["at"] < GONE_AFTER_S]
        return {"seen": len(seen), "seqs": sorted({beat["snapshot"].get("seq", 0) for beat in seen})}

    async def _waiting(self, connections: Collection[int]) -> dict[str, Any]:
        waiting, undrained = 0, []
        for connection in connections:
            name = keys.events(connection)
            waiting += await self._gateway.store.command("XLEN", name, key=name)
            entries = await self._gateway.store.command("XREVRANGE", name, "+", "-", "COUNT", _UNDRAINED, key=name)
            undrained += [event for entry in entries if (event := _event(*entry)) is not None]
        return {"events_waiting": waiting, "undrained": undrained}

    def _degraded(self) -> str:
        since = self._away_since or self._gateway.degraded_since
        if since is None:
            return ""
        at = time.strftime("%H:%M", time.gmtime(since))
        return f"The limiter's store is away since {at} UTC: each worker decides as its policies say."


def _event(entry_id: bytes, flat: list[bytes]) -> ThrottleEvent | None:
    parts = [part.decode() for part in flat]
    try:
        return recorded.event(entry_id.decode(), dict(zip(parts[::2], parts[1::2], strict=True)))
    except (ValueError, LookupError):
        return None  # The record keeps it as a dead letter; the page shows what can be read.
