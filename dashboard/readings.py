"""How full a tenant's limits are right now, read from the store without charging anything."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from dashboard.live_lines import GAP_S, KEPT, LiveLine
from limiter.core import forecast
from limiter.core.adaptive import Evidence
from limiter.core.algorithms import rules_of
from limiter.core.held import Holding
from limiter.core.sharing import PACE
from limiter.core.thresholds import left, near_at, reached
from limiter.core.types import MICROS, PPM, CountedPer, Decision, Limit, LimitState, Share, ShareState
from limiter.demand.coverage import Covered, covers
from limiter.demand.points import Calls, Demand, Level
from limiter.demand.recent import Recent
from limiter.demand.state import LATELY_S, RefusedCalls
from limiter.gateway.gate import Gateway
from limiter.gateway.invocation import InvokeTarget
from limiter.policies.plan import EffectivePolicy

READ_EVERY_S = 0.8
"""Less than the second between two frames, by what a tick may come early."""
MAX_ACTIONS = 100
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


class Shared(NamedTuple):
    """What a tenant has of a limit that others use too, and the limit itself."""

    own: ShareState
    of_all: LimitState

    @property
    def within_reach(self) -> int:
        """The units that it can have at once: its share or even part, and those that are free for everybody."""
        own, terms = self.own, self.own.limit.share
        ceiling = terms and terms.ceiling_in(self.of_all.effective)
        free = max(0, self.of_all.effective - self.of_all.used - own.owed)
        most = min(self.of_all.effective, max(own.share, own.even) + free)
        return min(most, ceiling) if ceiling else most


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
    lines: dict[str, LiveLine] = field(default_factory=dict)
    """Row -> its line of the last minutes."""
    full_in_s: dict[str, float | None] = field(default_factory=dict)
    """Row -> seconds until it is full at the present pace; None when it will not be, or nobody can tell."""
    held: dict[str, deque[Holding]] = field(default_factory=dict)
    """Row -> what a token bucket held in the last half minute."""
    peaks: dict[str, dict[int, int]] = field(default_factory=dict)
    """Row -> minute -> the most that was used in it, for an hour."""
    hour_known: bool = False
    """Whether ``peaks`` has the use before anybody watched."""
    used_at: dict[str, float] = field(default_factory=dict)
    """Row -> when anything was counted against it last."""
    near: set[str] = field(default_factory=set)
    """Rows that have reached their threshold and have not left it since."""
    now_s: int = 0
    """The second of the store's clock at the last reading."""
    suspended: bool = False
    recent: Recent | None = None
    """The last quarter of an hour of its demand; None while it is not known."""
    unwatched: bool = False
    """Whether a line has a part in which nobody watched, which the record has."""
    shares: dict[tuple[str, Share], Shared] = field(default_factory=dict)
    """Its part of each shared limit, by the limit's name and the terms."""
    paces: dict[Share, ShareState] = field(default_factory=dict)
    """Its part of the pace of its connection, where tenants share that, by the terms."""
    multiplier: float = 1.0
    latency: deque[tuple[float, tuple[float | None, float]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    """p95 (ms) and multiplier when it was read."""
    latency_known: bool = False
    """Whether that has the time before anybody watched."""

    async def read(self, gateway: Gateway) -> None:
        """Read everything anew in one turn of pipelined questions; raises Problem and StoreError."""
        caller = await gateway.callers.on_behalf(self.tenant_id)
        tenant = caller.entry.tenant
        if not tenant.active:
            self.at, self.now_s, self.suspended, self.rows, self.plans = time.time(), int(time.time()), True, {}, {}
            self.connection_id = tenant.connection.id
            return
        actions = [action for action in list(tenant.actions.values())[:MAX_ACTIONS] if action.enabled]
        targets = [gateway.target(caller, action.action_id) for action in actions]
        peeks = [gateway.decide(caller, target, request_id="", charge=False) for target in targets]
        decisions = await asyncio.gather(*peeks)
        self.evidence = await self._evidence(gateway, targets)
        self.at, self.connection_id, self.suspended = time.time(), tenant.connection.id, False
        self.now_s = max((decision.at_us // MICROS for decision in decisions), default=int(self.at))
        self.learns = tenant.connection.learns_in_flight
        self.plans = {target.action.action_id: target.plan for target in targets}
        self.multiplier = min((decision.multiplier for decision in decisions), default=1.0)
        p95 = self.evidence.p95_us / 1000 if self.evidence and self.evidence.p95_us else None
        self.latency_known &= bool(self.latency) and self.at - self.latency[-1][0] <= GAP_S
        self.latency.append((self.at, (p95, self.multiplier)))
        self.shares = dict(_shares(decisions))
        self.paces = dict(_paces(decisions))
        self.keep(_rows(zip(targets, decisions, strict=True)))
        await self._foresee(gateway, targets)

    def is_slow(self) -> bool:
        """Whether the upstream's p95 is above the threshold from which limits are cut."""
        return bool(self.evidence and self.threshold_ms and self.evidence.p95_us > self.threshold_ms * 1000)

    def called_lately(self) -> bool:
        """Whether any call was decided in the last minute."""
        return self.last_minute() != Calls()

    def last_minute(self) -> Calls:
        """The calls of the last minute; none while they are not known."""
        return Calls() if self.recent is None else self.recent.last_minute(self.now_s)

    def held_back(self) -> int:
        """Calls that were held back in the last minute."""
        return self.last_minute().held_back

    def is_idle(self) -> bool:
        """Whether nothing was called for a quarter of an hour."""
        return self.recent is not None and self.recent.is_idle(self.now_s)

    def refused(self) -> RefusedCalls:
        """Its calls that were refused lately."""
        return RefusedCalls() if self.recent is None else self.recent.refused(self.now_s)

    def refused_by(self, row_id: str) -> RefusedCalls:
        """Those of them that one limit refused."""
        action_id, _, limit = row_id.partition("|")
        return RefusedCalls() if self.recent is None else self.recent.refused_by((action_id, limit), self.now_s)

    def limits_in_force(self) -> int:
        """How many limits apply to its calls."""
        return len({limit for plan in self.plans.values() for limit in plan.limits})

    def remember(self, recent: Recent | None, covered: Sequence[Covered] | None = None) -> None:
        """Take in its demand of the last quarter of an hour: it completes the lines, each second once.

        ``covered``: the times of which all is known, if that is known; the others are gaps.
        """
        self.recent = recent
        if recent is None:
            return
        for row in self.rows.values():
            if self.unwatched:
                self._look_back(row, recent, covered)
            levels = recent.demand.limits.get((row.action_id, row.state.limit.name), {})
            for second, level in self.lines[row.id].take(levels, now=self.now_s):
                self._note_use(row, second, level)
        self.unwatched = False

    def take_hour(self, demand: Demand) -> None:
        """Take in its use of the last hour, by the minute."""
        self.hour_known = True
        for (action_id, limit), second, level in demand.each_level():
            self._note_peak(f"{action_id}|{limit}", level.used, minute=second // 60)

    def take_latency(self, before: Mapping[int, tuple[float | None, float]]) -> None:
        """Take in p95 and multiplier of the seconds before, where nobody watched."""
        self.latency_known = True
        watched = {round(at) for at, _ in self.latency}
        unwatched = [(float(second), pair) for second, pair in before.items() if second not in watched]
        self.latency = deque(sorted([*unwatched, *self.latency], key=lambda each: each[0]), maxlen=KEPT)

    def peak(self, row_id: str) -> int | None:
        """The most of a limit that was used at once in the last hour; None while that is not known."""
        return max(self.peaks.get(row_id, {}).values(), default=None) if self.hour_known else None

    def _look_back(self, row: RowReading, recent: Recent, covered: Sequence[Covered] | None) -> None:
        limit, name = row.state.limit, (row.action_id, row.state.limit.name)
        start = self.now_s - (LATELY_S if limit.window_us // MICROS < LATELY_S else KEPT)
        line = list(recent.demand.line(name, start, self.now_s, holds_s=holds_s(limit)))
        for minute, of in groupby(line, lambda each: each[0] // 60):
            self._note_peak(row.id, max(level.used for _, level in of), minute=minute)
        if used_in := [second for second, level in line if level.used]:
            self.used_at[row.id] = max(used_in[-1], self.used_at.get(row.id, 0.0))
        if covered is not None:
            called = recent.demand.limits.get(name, {})
            line = [each for each in line if each[0] in called or covers(covered, each[0], each[0] + 1)]
        self.lines[row.id].look_back(line, now=self.now_s)

    def _note_use(self, row: RowReading, second: int, level: Level) -> None:
        self._note_peak(row.id, level.used, minute=second // 60)
        if level.used:
            self.used_at[row.id] = max(second, self.used_at.get(row.id, 0.0))

    async def _evidence(self, gateway: Gateway, targets: list[InvokeTarget]) -> Evidence | None:
        adaptive = next((target for target in targets if target.plan.adaptive), None)
        if adaptive is None or adaptive.plan.adaptive is None:
            return None
        self.threshold_ms = adaptive.plan.adaptive.latency_threshold_ms
        return await gateway.store.evidence(adaptive.bound.stack)

    def keep(self, rows: Iterable[RowReading]) -> None:
        """Take in how full its limits are; of a limit that is read of several actions the first one counts."""
        self.rows = {}
        for row in rows:
            self.rows.setdefault(row.id, row)
        for row in self.rows.values():
            if row.state.used:
                self.used_at[row.id] = self.at
            self.note_near(row)
            self._note_peak(row.id, row.state.used)
            line = self.lines.setdefault(row.id, LiveLine())
            self.unwatched |= line.read(self.at, used=row.state.used, effective=row.state.effective)

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

    def note_near(self, row: RowReading) -> None:
        """By the policy's own threshold, with the margin of alerts, so that it does not flap.

        Others may fill a limit that a tenant shares: it is near when its own part of it is.
        """
        use = {"used": row.state.used, "effective": max(1, row.state.effective)}
        share = row.state.limit.share
        if share and (shared := self.shares.get((row.state.limit.name, share))):
            use = {"used": shared.own.used, "effective": max(1, shared.within_reach)}
        threshold = near_at(row.state.limit.alert_at)
        if reached(threshold, **use):
            self.near.add(row.id)
        elif left(threshold, **use):
            self.near.discard(row.id)

    def _note_peak(self, row_id: str, used: int, *, minute: int | None = None) -> None:
        peaks = self.peaks.setdefault(row_id, {})
        minute = int(self.at // 60) if minute is None else minute
        peaks[minute] = max(used, peaks.get(minute, 0))
        for old in [each for each in peaks if each <= int(self.at // 60) - 60]:
            del peaks[old]


def holds_s(limit: Limit) -> int:
    """Seconds in which every unit leaves a limit, rounded up; of calls in flight, how long a count is shown."""
    rules = rules_of(limit.algorithm)
    if rules.holds_slots:
        return int(GAP_S)
    return -(-limit.window_us * max(1, rules.capacity(limit)) // max(1, limit.quota) // MICROS)


def _shares(decisions: Iterable[Decision]) -> Iterator[tuple[tuple[str, Share], Shared]]:
    for decision in decisions:
        of_all = {state.limit: state for state in decision.states}
        for own in decision.shares:
            if own.limit.share and own.limit in of_all:
                yield (own.limit.name, own.limit.share), Shared(own, of_all[own.limit])


def _paces(decisions: Iterable[Decision]) -> Iterator[tuple[Share, ShareState]]:
    for own in (each for decision in decisions for each in decision.shares):
        if own.limit.share and own.limit.name == PACE:
            yield own.limit.share, own


def _rows(decided: Iterable[tuple[InvokeTarget, Decision]]) -> Iterator[RowReading]:
    for target, decision in decided:
        for state in decision.states:
            per = state.limit.counted_per
            if per is CountedPer.KEY:
                continue  # Nobody's key is presented here: there is no count to show.
            action_id = target.action.action_id
            yield RowReading(
                action_id if per is CountedPer.ACTION else "", state, decision.multiplier, read_of=action_id
            )
