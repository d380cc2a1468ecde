"""How full a tenant's limits are right now, read from the store without charging anything."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from limiter.core import forecast, keys
from limiter.core.adaptive import Evidence
from limiter.core.algorithms import rules_of
from limiter.core.held import Holding
from limiter.core.types import MICROS, PPM, CountedPer, Decision, LimitState
from limiter.gateway.gate import Gateway
from limiter.gateway.invocation import InvokeTarget
from limiter.policies.plan import EffectivePolicy

MAX_ACTIONS = 100
KEPT = 300
"""Seconds of history that are kept while somebody watches."""
_RATE_SECONDS = 60
_FORESEEN = 100
"""Limits of a tenant that a forecast is made of, the fullest first."""
_PACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RowReading:
    """One limit as it counts for one action, or for all of them (``action_id`` empty)."""

    action_id: str
    state: LimitState
    multiplier: float
    read_of: str = ""
    """The action whose calls it was read of: any one, where it counts for all."""

    @property
    def id(self) -> str:
        return f"{self.action_id}|{self.state.limit.name}"


@dataclass(frozen=True, slots=True)
class Counts:
    """A tenant's calls since its store was empty."""

    at: float
    allowed: int = 0
    refused: int = 0
    held_back: int = 0
    returned: int = 0
    kept: int = 0


@dataclass(slots=True)
class TenantReading:
    """The last reading of a tenant, and one a little earlier. Times are epoch seconds."""

    tenant_id: str
    connection_id: int = 0
    learns: bool = False
    """Whether its connection learns how many calls it bears in flight."""
    at: float = 0.0
    rows: dict[str, RowReading] = field(default_factory=dict)
    plans: dict[str, EffectivePolicy] = field(default_factory=dict)
    evidence: Evidence | None = None
    threshold_ms: int | None = None
    used: dict[str, deque[tuple[float, int, int]]] = field(default_factory=dict)
    full_in_s: dict[str, float | None] = field(default_factory=dict)
    """Row -> seconds until it is full at the present pace; None when it will not be, or nobody can tell."""
    held: dict[str, deque[Holding]] = field(default_factory=dict)
    """Row -> what a token bucket held in the last half minute."""
    peaks: dict[str, dict[int, int]] = field(default_factory=dict)
    """Row -> minute -> the most that was used in it, for an hour."""
    used_at: dict[str, float] = field(default_factory=dict)
    """Row -> when anything was counted against it last."""
    counts: deque[Counts] = field(default_factory=lambda: deque(maxlen=KEPT))
    multiplier: float = 1.0
    latency: deque[tuple[float, tuple[float | None, float]]] = field(default_factory=lambda: deque(maxlen=KEPT))

    async def read(self, gateway: Gateway) -> None:
        """Read everything anew in one turn of pipelined questions; raises Problem and StoreError."""
        caller = await gateway.callers.on_behalf(self.tenant_id)
        tenant = caller.entry.tenant
        actions = [action for action in list(tenant.actions.values())[:MAX_ACTIONS] if action.enabled]
        targets = [gateway.target(caller, action.action_id) for action in actions]
        peeks = [gateway.decide(caller, target, request_id="", charge=False) for target in targets]
        decisions = await asyncio.gather(*peeks)
        counts = await self._counted(gateway, tenant.connection.id)
        self.evidence = await self._evidence(gateway, targets)
        self.at, self.connection_id = time.time(), tenant.connection.id
        self.learns = tenant.connection.learns_in_flight
        self.plans = {target.action.action_id: target.plan for target in targets}
        self.multiplier = min((decision.multiplier for decision in decisions), default=1.0)
        p95 = self.evidence.p95_us / 1000 if self.evidence and self.evidence.p95_us else None
        self.latency.append((self.at, (p95, self.multiplier)))
        self._keep(counts, zip(targets, decisions, strict=True))
        await self._foresee(gateway, targets)

    def is_slow(self) -> bool:
        """Whether the upstream's p95 is above the threshold from which limits are cut."""
        return bool(self.evidence and self.threshold_ms and self.evidence.p95_us > self.threshold_ms * 1000)

    def called_lately(self) -> bool:
        """Whether any call was decided in the last minute, as far back as is known."""
        if not self.counts:
            return False
        last, first = self.counts[-1], self._minute_ago()
        return (last.allowed, last.refused) != (first.allowed, first.refused)

    def is_paced(self) -> bool:
        """Whether two counts are known, so that there is a pace at all."""
        return len(self.counts) > 1

    def held_back(self) -> int:
        """Calls that were held back in the last minute, as far back as is known."""
        return max(0, self.counts[-1].held_back - self._minute_ago().held_back) if self.counts else 0

    def returned(self) -> tuple[int, int]:
        """Calls that came back at the time of their Retry-After, as far back as is known, and those then admitted."""
        last, first = self.counts[-1], self.counts[0]
        return max(0, last.returned - first.returned), max(0, last.kept - first.kept)

    def _minute_ago(self) -> Counts:
        return next(each for each in self.counts if each.at >= self.counts[-1].at - _RATE_SECONDS)

    def rate(self) -> tuple[float, float]:
        """Calls allowed and refused a minute, over the last minute or its known part; needs a pace."""
        last, first = self.counts[-1], self._minute_ago()
        seconds = max(1.0, last.at - first.at)
        # A store that was emptied counts from nothing again.
        allowed, refused = max(0, last.allowed - first.allowed), max(0, last.refused - first.refused)
        return allowed * 60 / seconds, refused * 60 / seconds

    async def _counted(self, gateway: Gateway, connection_id: int) -> Counts:
        name = keys.totals(connection_id)
        fields = [f"{self.tenant_id}|{counter}" for counter in ("allowed", "refused", "held_back", "returned", "kept")]
        counts = await gateway.store.command("HMGET", name, *fields, key=name)
        return Counts(time.time(), *(int(count or 0) for count in counts))

    async def _evidence(self, gateway: Gateway, targets: list[InvokeTarget]) -> Evidence | None:
        adaptive = next((target for target in targets if target.plan.adaptive), None)
        if adaptive is None or adaptive.plan.adaptive is None:
            return None
        self.threshold_ms = adaptive.plan.adaptive.latency_threshold_ms
        return await gateway.store.evidence(adaptive.bound.stack)

    def _keep(self, counts: Counts, decided: Iterable[tuple[InvokeTarget, Decision]]) -> None:
        self.counts.append(counts)
        self.rows = {}
        for target, decision in decided:
            for state in decision.states:
                per = state.limit.counted_per
                if per is CountedPer.KEY:
                    continue  # Nobody's key is presented here: there is no count to show.
                action_id = target.action.action_id
                row = RowReading(
                    action_id if per is CountedPer.ACTION else "", state, decision.multiplier, read_of=action_id
                )
                self.rows.setdefault(row.id, row)
        for row in self.rows.values():
            if row.state.used:
                self.used_at[row.id] = self.at
            self._note_peak(row.id, row.state.used)
            self.used.setdefault(row.id, deque(maxlen=KEPT)).append((self.at, row.state.used, row.state.effective))

    async def _foresee(self, gateway: Gateway, targets: list[InvokeTarget]) -> None:
        """One more question for each limit that is in use, in one turn."""
        stacks = {target.action.action_id: target.bound.stack for target in targets}
        used = [row for row in self.rows.values() if row.state.used and rules_of(row.state.limit.algorithm).forecasts]
        fullest = sorted(used, key=lambda row: -row.state.used / row.state.effective)[:_FORESEEN]
        asked = [
            gateway.store.held(stacks[row.read_of], row.state.limit, multiplier_ppm=round(row.multiplier * PPM))
            for row in fullest
        ]
        held = await asyncio.gather(*asked)
        self.full_in_s = {row.id: self._full_in_s(row, seen) for row, seen in zip(fullest, held, strict=True)}

    def _full_in_s(self, row: RowReading, held: Holding) -> float | None:
        earlier = None
        if rules_of(row.state.limit.algorithm).forecast_compares:
            kept = self.held.setdefault(row.id, deque())
            kept.append(held)
            while kept[0].at_us < held.at_us - _PACE_SECONDS * MICROS:
                kept.popleft()
            earlier = kept[0]
        full_in_us = forecast.full_in_us(row.state.limit, held, effective=row.state.effective, earlier=earlier)
        return None if full_in_us is None else round(full_in_us / MICROS, 1)

    def _note_peak(self, row_id: str, used: int) -> None:
        minute, peaks = int(self.at // 60), self.peaks.setdefault(row_id, {})
        peaks[minute] = max(used, peaks.get(minute, 0))
        for old in [each for each in peaks if each <= minute - 60]:
            del peaks[old]
