"""The frames that the live pages are drawn from, as JSON-able data; docs/dashboard.md is their contract."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import alerts, connections, figures, pools, shares, states, stored
from dashboard.busiest import Crowd
from dashboard.charts import refused_column
from dashboard.connections import Frame
from dashboard.limit_rows import rows_by_tenant, rows_of
from dashboard.pools import PoolReading
from dashboard.readings import TenantReading
from dashboard.shared_paces import PaceUse
from dashboard.stored import StoredReadings
from dashboard.topics import StreamTopic
from limiter.core.types import MICROS, Limit
from limiter.policies.plan import applied

VERSION = 4
_FEED = 60
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
    rows = rows_of(reading, known)
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
            refused_column(row["shadow"]): [point and point.refused for _, point in points],
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
