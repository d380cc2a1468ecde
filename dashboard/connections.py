"""The connections of a live page: held back, limited, slow or well, and why, as codes with values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.readings import TenantReading
from dashboard.stored import StoredReadings
from limiter.core.in_flight import facts
from limiter.core.learned import Mode, State
from limiter.core.pacing import Pace
from limiter.core.pausing import Pause
from limiter.core.types import MICROS

Frame = dict[str, Any]
Upstreams = Mapping[int, tuple[Pause | None, Pace | None, State | None]]
"""Connection -> the pause that lasts, the pace that is held, and the learned limit's state."""


def lines(readings: Sequence[TenantReading], known: StoredReadings, upstreams: Upstreams) -> list[Frame]:
    """Each connection once: held back, limited, slow, or well. Calls held back are those of the tenants shown."""
    found: dict[str, Frame] = {}
    held: Counter[int] = Counter()
    for reading in readings:
        held[reading.connection_id] += reading.held_back()
    for reading in readings:
        name, slow = known.connections.get(reading.tenant_id, ""), reading.is_slow()
        if name and (slow or name not in found):
            pause, pace, learned = upstreams.get(reading.connection_id, (None, None, None))
            said = None if pause is None else _pause(pause, held[reading.connection_id])
            condition = _condition(reading, said, learned)
            found[name] = {"name": name, **condition, "pause": said, "pace": pace and _pace(pace)}
    for unit, name in known.units.items():
        if name not in found and any(upstreams.get(unit, ())):
            found[name] = _of_others(name, *upstreams[unit])
    return list(found.values())


def _of_others(name: str, pause: Pause | None, pace: Pace | None, learned: State | None) -> Frame:
    """A connection of which no tenant is shown."""
    said = None if pause is None else _pause(pause, 0)
    condition = _condition(None, said, learned)
    return {"name": name, **condition, "pause": said, "pace": pace and _pace(pace)}


def _condition(reading: TenantReading | None, pause: Frame | None, learned: State | None) -> Frame:
    if pause is not None:
        asked = "spent" if pause["status"] < 400 else "silent" if pause["asked_s"] is None else "asked"
        return {"state": "stop", "word": "connection.paused", "reason": {"code": f"connection.{asked}", **pause}}
    if learned is not None and learned.mode is not Mode.WHOLE:
        return {"state": "near", "word": f"connection.word.{learned.mode}", "reason": _learned(learned)}
    if reading is not None and reading.is_slow():
        return {"state": "near", "reason": {"code": "connection.slow", "threshold": reading.threshold_ms}}
    return {"state": "ok", "reason": None}


def _pace(pace: Pace) -> Frame:
    """A text: calls a minute, when they were found and when they were probed last, as far as that was."""
    code = "fixed" if not pace.found_us else "probed" if pace.probed_us else "learned"
    times = {"found": pace.found_us // 1000, "probed": pace.probed_us // 1000}
    return {"code": f"pace.{code}", "calls": round(pace.per_minute), **times}


def _learned(state: State) -> Frame:
    """What a connection has found out of its calls in flight."""
    found = facts(state)
    numbers = {name: found[name] for name in ("rate", "allowed", "p95_s", "before_s", "after_s")}
    return {"code": f"connection.{state.mode}", **numbers, "next_trial": found["next_trial"] * 1000}


def _pause(pause: Pause, calls: int) -> Frame:
    asked_s = None if pause.asked_us is None else math.ceil(pause.asked_us / MICROS)
    return {"until": pause.until_us // 1000, "status": pause.status, "asked_s": asked_s, "calls": calls}


def evidence(reading: TenantReading) -> Frame:
    seen = reading.evidence
    p95 = round(seen.p95_us / 1000) if seen and seen.p95_us else None
    return {"multiplier": reading.multiplier, "p95_ms": p95, "samples": seen.samples if seen else None}
