"""How full a tenant's limits are right now, read from the store without charging anything."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from limiter.core import keys
from limiter.core.adaptive import Evidence
from limiter.core.types import MICROS, Algorithm, CountedPer, LimitState
from limiter.gateway.gate import Gateway, Target
from limiter.policies.plan import Plan

MOST_ACTIONS = 100
KEPT = 300
"""Seconds of history that are kept while somebody watches."""
_RATE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RowReading:
    """One limit as it counts for one action, or for all of them (``action_id`` empty)."""

    action_id: str
    state: LimitState
    multiplier: float

    @property
    def id(self) -> str:
        return f"{self.action_id}|{self.state.limit.name}"


@dataclass(frozen=True, slots=True)
class Counts:
    """A tenant's calls since its store was empty."""

    at: float
    allowed: int = 0
    refused: int = 0


@dataclass(slots=True)
class TenantReading:
    """What was read of a tenant last, and a little before. Times are epoch seconds."""

    tenant_id: str
    name: str = ""
    connection_id: int = 0
    connection: str = ""
    at: float = 0.0
    rows: dict[str, RowReading] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    evidence: Evidence | None = None
    threshold_ms: int | None = None
    used: dict[str, deque[tuple[float, int, int]]] = field(default_factory=dict)
    peaks: dict[str, dict[int, int]] = field(default_factory=dict)
    """Row -> minute -> the most that was used in it, for an hour."""
    counts: deque[Counts] = field(default_factory=lambda: deque(maxlen=KEPT))
    multiplier: float = 1.0
    latency: deque[tuple[float, tuple[float | None, float]]] = field(default_factory=lambda: deque(maxlen=KEPT))

    async def read(self, gateway: Gateway) -> None:
        """Read everything anew in one turn of pipelined questions; raises Problem and StoreError."""
        caller = await gateway.callers.on_behalf(self.tenant_id)
        tenant = caller.entry.tenant
        actions = [action for action in list(tenant.actions.values())[:MOST_ACTIONS] if action.enabled]
        targets = [gateway.target(caller, action.action_id) for action in actions]
        peeks = [gateway.decide(caller, target, request_id="", charge=False) for target in targets]
        decisions = await asyncio.gather(*peeks)
        counts = await self._counted(gateway, tenant.connection.id)
        self.evidence = await self._evidence(gateway, targets)
        self.at, self.connection_id = time.time(), tenant.connection.id
        self.plans = {target.action.action_id: target.plan for target in targets}
        self.multiplier = min((decision.multiplier for decision in decisions), default=1.0)
        p95 = self.evidence.p95_us / 1000 if self.evidence and self.evidence.p95_us else None
        self.latency.append((self.at, (p95, self.multiplier)))
        self._keep(counts, zip(targets, decisions, strict=True))

    def rate(self) -> tuple[float, float]:
        """Calls allowed and refused a minute, over the last minute or what is known of it."""
        if len(self.counts) < 2:
            return 0.0, 0.0
        last = self.counts[-1]
        first = next(each for each in self.counts if each.at >= last.at - _RATE_SECONDS)
        seconds = max(1.0, last.at - first.at)
        # A store that was emptied counts from nothing again.
        allowed, refused = max(0, last.allowed - first.allowed), max(0, last.refused - first.refused)
        return allowed * 60 / seconds, refused * 60 / seconds

    async def _counted(self, gateway: Gateway, connection_id: int) -> Counts:
        name = keys.totals(connection_id)
        fields = [f"{self.tenant_id}|{counter}" for counter in ("allowed", "refused")]
        allowed, refused = await gateway.store.command("HMGET", name, *fields, key=name)
        return Counts(time.time(), int(allowed or 0), int(refused or 0))

    async def _evidence(self, gateway: Gateway, targets: list[Target]) -> Evidence | None:
        adaptive = next((target for target in targets if target.plan.adaptive), None)
        if adaptive is None or adaptive.plan.adaptive is None:
            return None
        self.threshold_ms = adaptive.plan.adaptive.latency_threshold_ms
        return await gateway.store.evidence(adaptive.bound.stack)

    def _keep(self, counts: Counts, decided: Any) -> None:
        self.counts.append(counts)
        self.rows = {}
        for target, decision in decided:
            for state in decision.states:
                per = state.limit.counted_per
                if per is CountedPer.KEY:
                    continue  # Nobody's key is presented here: there is no count to show.
                row = RowReading(
                    target.action.action_id if per is CountedPer.ACTION else "", state, decision.multiplier
                )
                self.rows.setdefault(row.id, row)
        for row in self.rows.values():
            self._note_peak(row.id, row.state.used)
            self.used.setdefault(row.id, deque(maxlen=KEPT)).append((self.at, row.state.used, row.state.effective))

    def _note_peak(self, row_id: str, used: int) -> None:
        minute, peaks = int(self.at // 60), self.peaks.setdefault(row_id, {})
        peaks[minute] = max(used, peaks.get(minute, 0))
        for old in [each for each in peaks if each <= minute - 60]:
            del peaks[old]


def full_in_s(history: deque[tuple[float, int, int]], state: LimitState) -> float | None:
    """Seconds until the limit is full at the pace of the last half minute; None when it does not fill."""
    if state.limit.algorithm is Algorithm.CONCURRENCY or len(history) < 5:
        return None
    if state.remaining == 0:
        return 0.0
    at, used, _ = history[-1]
    before_at, before, _ = next(each for each in history if each[0] >= at - 30)
    pace = (used - before) / max(1.0, at - before_at)
    if pace <= 0:
        return None
    seconds = state.remaining / pace
    # At a steady rate a sliding window grows for one window only: after that as much leaves it as enters.
    return seconds if seconds <= state.limit.window_us / MICROS else None
