"""The frames that the live pages are drawn from, as JSON-able data; docs/dashboard.md is their contract."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dashboard import alerts, connections, figures, pools, shares, states, stored
from dashboard.busiest import Crowd
from dashboard.connections import Frame
from dashboard.live_lines import KEPT
from dashboard.pools import PoolReading
from dashboard.readings import RowReading, TenantReading
from dashboard.shared_paces import PaceUse
from dashboard.stored import StoredReadings
from dashboard.topics import StreamTopic
from limiter.core.algorithms import rules_of
from limiter.core.thresholds import near_at
from limiter.core.types import MICROS, CountedPer, Limit, LimitState
from limiter.policies.plan import applied

VERSION = 4
_SPARK = 40
_FEED = 60
_AT_ONCE = 20
"""Tenants whose rows are made in one go."""
_NAMED = 3
"""Limits that a sentence names; it counts the others."""


def overview_frame(
    readings: Sequence[TenantReading],
    known: StoredReadings,
    *,
    platform: Frame,
    degraded: Frame | None,
    rows: list[Frame] | None = None,
    crowd: Crowd | None = None,
) -> Frame:
    """Everything the overview shows, whole; its number is given by who sends it. ``rows``: those made already;
    ``crowd``: all its tenants, where they are more than ``readings``.
    """
    if rows is None:
        rows = [row for some in rows_by_tenant(readings, known) for row in some]
    waiting = platform.get("calls_waiting", {})
    every = crowd is not None and crowd.calls is not None
    calls_waiting = sum(waiting.values() if every else (waiting.get(reading.tenant_id, 0) for reading in readings))
    now = figures.Now(readings, known.names, platform.get("events_waiting"), calls_waiting, known.returned, crowd)
    state, sentence = states.of_all(readings, rows, crowd, counted=states.counted(readings, known))
    sentence |= _named(states.concerned(state, rows), "limit.of_tenant")
    units = connections.lines(readings, known, platform.get("upstreams", {}))
    if state != "stop" and (held := [each for each in units if each["pause"]]):
        state, sentence = "stop", {"code": "overview.held_back", "connections": len(held), **held[0]["pause"]}
    frame = _frame(readings, known, platform=platform, degraded=degraded, rows=rows, said=(state, sentence))
    if crowd is not None:
        frame["summary"]["of"] = {"code": "overview.some", "shown": len(readings), "tenants": known.tenants}
    return {**frame, "figures": figures.data(now), "connections": units}


def tenant_frame(
    reading: TenantReading,
    known: StoredReadings,
    *,
    platform: Frame,
    degraded: Frame | None,
    values: Sequence[Frame] = (),
    pace: PaceUse | None = None,
) -> Frame:
    """Everything a tenant's page shows, with the chart of the last minutes.

    ``values``: its limits by a value. ``pace``: the one that it shares.
    """
    rows = _rows(reading, known)
    state, sentence = states.of_tenant(reading, rows, counted=states.counted([reading], known))
    sentence |= _named(states.concerned(state, rows), "limit.of_action")
    connection = connections.lines([reading], known, platform.get("upstreams", {}))
    if state != "stop" and connection and connection[0]["pause"]:
        state, sentence = "stop", {"code": "tenant.held_back", **connection[0]["pause"]}
    return {
        **_frame([reading], known, platform=platform, degraded=degraded, rows=rows, said=(state, sentence)),
        "limits": _in_force(reading),
        "shares": shares.lines(reading, pace, waiting=platform.get("calls_waiting", {}).get(reading.tenant_id, 0)),
        "values": list(values),
        "connection": {**connection[0], **connections.evidence(reading)} if connection else None,
        "charts": {row["id"]: _series(reading, row) for row in rows},
        "notes": known.changes,
        "tops": _tops(reading, known),
    }


def pool_frame(reading: PoolReading, topic: StreamTopic, *, platform: Frame, degraded: Frame | None) -> Frame:
    """Everything the page of a shared limit shows."""
    assert topic.pool is not None  # it is the topic of one
    state, sentence = (
        pools.sentence(reading, topic.pool.limit) if degraded is None else ("unknown", {"code": "unknown"})
    )
    return {
        **_head(reading.at or time.time()),
        "summary": {"state": state, "sentence": sentence, "workers": platform.get("workers"), "degraded": degraded},
        "alerts": [],
        "feed": [],
        "changes": [],
        **pools.frame(reading, topic),
    }


def since(code: str, at: float | None) -> Frame | None:
    """A state of the platform that lasts from this time on (epoch seconds); None for one that does not."""
    return {"code": code, "since": int(at * 1000)} if at else None


def _head(at: float) -> Frame:
    return {"v": VERSION, "seq": 0, "at_ms": int(at * 1000), "kind": "full"}


def _frame(
    readings: Sequence[TenantReading],
    known: StoredReadings,
    *,
    platform: Frame,
    degraded: Frame | None,
    rows: list[Frame],
    said: tuple[str, Frame],
) -> Frame:
    state, sentence = said if degraded is None else ("unknown", {"code": "unknown"})
    return {
        **_head(max((reading.at for reading in readings), default=time.time())),
        "summary": {
            "state": state,
            "sentence": sentence,
            "workers": platform.get("workers"),
            "degraded": degraded,
        },
        "rows": rows,
        "alerts": alerts.lines(known, rows=rows),
        "feed": stored.feed(known)[:_FEED],
        "changes": known.changes,
    }


def _named(limits: list[Frame], code: str) -> Frame:
    """The first limits by their names, and how many more there are."""
    if not limits:
        return {}
    names = [
        {"code": code, "tenant": row["tenant_name"], "limit": row["limit"], "action": row["action"]} for row in limits
    ]
    alike = [name for number, name in enumerate(names) if name not in names[:number]]
    return {"limits": alike[:_NAMED], "more": len(alike[_NAMED:])}


def rows_by_tenant(readings: Iterable[TenantReading], known: StoredReadings) -> Iterator[list[Frame]]:
    """The rows of each reading, made as they are asked for: those of hundreds take their time."""
    apart = stored.by_tenant(known)
    for reading in readings:
        yield _rows(reading, apart.get(reading.tenant_id, StoredReadings()))


async def all_rows(readings: Iterable[TenantReading], known: StoredReadings) -> list[Frame]:
    """All rows, with a pause for callers now and then."""
    rows: list[Frame] = []
    for number, some in enumerate(rows_by_tenant(readings, known)):
        rows += some
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
    return rows


def _rows(reading: TenantReading, known: StoredReadings) -> list[Frame]:
    return [_row(reading, row, known) for row in reading.rows.values() if _worth_showing(reading, row, known)]


def _worth_showing(reading: TenantReading, row: RowReading, known: StoredReadings) -> bool:
    """A limit that nothing was counted against lately would only be noise, and so would calls in flight of others."""
    if _refused(reading, row, known) > 0:
        return True
    if _others_in_flight(reading, row):
        return False
    return bool(row.state.used) or reading.at - reading.used_at.get(row.id, 0.0) < KEPT


def _others_in_flight(reading: TenantReading, row: RowReading) -> bool:
    """Whether the calls in it are those of other tenants, since this one makes none: it is full for somebody else."""
    limit = row.state.limit
    shared = limit.counted_per is CountedPer.CONNECTION and rules_of(limit.algorithm).holds_slots
    return shared and not reading.called_lately()


def _refused(reading: TenantReading, row: RowReading, known: StoredReadings) -> int:
    """Calls that it refused in the last 15 minutes: events also have those that a worker refused alone."""
    kinds = known.refused.items()
    action = row.action_id
    recorded = sum(
        calls
        for (tenant, of, limit), calls in kinds
        if tenant == reading.tenant_id and limit == row.state.limit.name and action in ("", of)
    )
    return max(recorded, reading.refused_by(row.id).quarter)


def _row(reading: TenantReading, row: RowReading, known: StoredReadings) -> Frame:
    state, limit = row.state, row.state.limit
    points = reading.lines[row.id].points
    values = [points[at].used for at in range(max(0, len(points) - _SPARK), len(points))]
    return {
        "id": f"{reading.tenant_id}|{row.id}",
        "tenant": reading.tenant_id,
        "tenant_name": known.names.get(reading.tenant_id, reading.tenant_id),
        "action": row.action_id,
        "limit": limit.name,
        "algorithm": limit.algorithm,
        "counted_per": limit.counted_per.value,
        "window_seconds": limit.window_us // MICROS,
        "used": state.used,
        "quota": _base(limit),
        "effective": state.effective,
        "remaining": state.remaining,
        "full_in_s": reading.full_in_s.get(row.id),
        "next_unit_s": _next_unit_s(state),
        "resettable": not rules_of(limit.algorithm).no_reset,
        "refused_15m": _refused(reading, row, known),
        "incident": stored.incident_of(known, reading.tenant_id, row.action_id, limit.name),
        "spark": values,
        "trend": _trend(values),
        "peak_1h": reading.peak(row.id),
        "state": states.of_row(reading, row),
        "threshold": near_at(limit.alert_at),
    }


def _next_unit_s(state: LimitState) -> float | None:
    """The time until a unit becomes free. None while none is used, or where calls in flight decide."""
    if not state.used or rules_of(state.limit.algorithm).holds_slots:
        return None
    return round(state.reset_us / MICROS, 1)


def _base(limit: Limit) -> int:
    return rules_of(limit.algorithm).capacity(limit)


def _trend(values: list[int]) -> str:
    if len(values) < 10:
        return ""
    change = values[-1] - values[-10]
    return "steady" if abs(change) <= max(1, values[-1] // 20) else "rising" if change > 0 else "falling"


def _in_force(reading: TenantReading) -> list[Frame]:
    lines: dict[tuple[Any, ...], Frame] = {}
    for plan in reading.plans.values():
        for limit in applied(plan.limits, learns=reading.learns):
            lines.setdefault((limit, ""), _limit_line(limit, reading.multiplier))
        for replaced in plan.replaced:
            reason = {"code": "limit.replaced", "policy": replaced.by_policy}
            line = {**_limit_line(replaced.limit, 1.0), "replaced": True, "reason": reason}
            lines.setdefault((replaced.limit, replaced.by_policy), line)
    return list(lines.values())


def _limit_line(limit: Limit, multiplier: float) -> Frame:
    return {
        "name": limit.name,
        "quota": limit.quota,
        "effective": max(1, int(limit.quota * multiplier)) if limit.adaptive and multiplier < 1 else limit.quota,
        "window_seconds": limit.window_us // MICROS,
        "counted_per": limit.counted_per.value,
        "counted_by": limit.counted_by,
        "policy": limit.policy_name,
        "policy_version": limit.policy_version,
        "shadow": limit.shadow,
    }


def _series(reading: TenantReading, row: Frame) -> Frame:
    points = reading.lines[row["id"].partition("|")[2]].with_gaps()
    return {
        "times": [round(at) for at, _ in points],
        "columns": {
            "used": [point and point.used for _, point in points],
            "effective": [point and point.effective for _, point in points],
            "limit": [row["quota"]] * len(points),
            "refused": [point and point.refused for _, point in points],
            **_latency(reading, [at for at, _ in points]),
        },
    }


def _latency(reading: TenantReading, times: Sequence[float]) -> Frame:
    seen = dict(reading.latency)
    pairs = [seen.get(at) for at in times]
    return {
        "p95_ms": [pair[0] if pair else None for pair in pairs],
        "multiplier": [pair[1] if pair else None for pair in pairs],
        "threshold_ms": [reading.threshold_ms] * len(pairs),
    }


def _tops(reading: TenantReading, known: StoredReadings) -> Frame:
    """The actions that use most of their own limits' windows now, and the keys that are refused most."""
    actions: dict[str, int] = {}
    for row in reading.rows.values():
        if row.action_id and row.state.used:
            actions[row.action_id] = max(actions.get(row.action_id, 0), row.state.used)
    keys: Counter[str] = Counter()
    for event in known.events:
        if event.key_prefix and not event.shadow:
            keys[event.key_prefix] += event.count
    return {"actions": _shares(actions), "keys": _shares(keys)}


def _shares(counts: Mapping[str, int]) -> list[Frame]:
    whole = sum(counts.values())
    most = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:5]
    return [{"name": name, "calls": calls, "share": round(calls / whole, 3)} for name, calls in most]
