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
_MOST_TOLD = 500
"""Different sets of tenants that are watched at once, before what is kept of them is made anew."""


class Live:
    """One per worker. Viewers share what is read; who may see which tenant is the caller's business."""

    def __init__(self, runtime: Runtime) -> None:
        self._gateway = runtime.gateway
        self._tenants: dict[str, TenantReading] = {}
        self._stored: dict[frozenset[str], tuple[float, Stored]] = {}
        self._told: dict[tuple[str, frozenset[str]], tuple[float, str]] = {}
        self._platform: tuple[float, dict[str, Any]] = (0.0, {})
        self._lock = asyncio.Lock()
        self._away_since: float | None = None

    async def overview(self, tenant_ids: Collection[str]) -> str:
        """The overview page's frame, as JSON, for who may see these tenants."""
        return await self._tell(("overview", frozenset(tenant_ids)))

    async def tenant(self, tenant_id: str) -> str:
        """The frame of one tenant's page, as JSON; its charts over longer ranges come from the database."""
        return await self._tell(("tenant", frozenset([tenant_id])))

    async def _tell(self, asked: tuple[str, frozenset[str]]) -> str:
        """Made and encoded once for all who ask for the same within a second."""
        async with self._lock:
            at, text = self._told.get(asked, (0.0, ""))
            if time.time() - at < EVERY_S:
                return text
            page, tenant_ids = asked
            readings, known = await self._refresh(tenant_ids)
            rest: dict[str, Any] = {"platform": self._platform[1], "degraded": self._degraded()}
            frame = (
                tenant_frame(readings[0], known, **rest)
                if page == "tenant"
                else overview_frame(readings, known, **rest)
            )
            text = json.dumps(frame, separators=(",", ":"))
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told[asked] = (time.time(), text)
            return text

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
            if len(self._stored) >= _MOST_TOLD:
                self._stored.clear()
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
