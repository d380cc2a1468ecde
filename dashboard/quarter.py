"""A tenant's last quarter of an hour as the columns of a chart, from the record of demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.readings import RowReading, TenantReading, holds_s
from limiter.demand.points import Calls, Level
from limiter.demand.recent import Recent
from limiter.demand.state import LATELY_S

RANGE = "15m"
STEP_S = 5
_NONE = Calls()


def chart(
    reading: TenantReading, notes: list[dict[str, Any]], *, p95_ms: Mapping[int, float] | None = None
) -> dict[str, Any] | None:
    """Calls allowed and refused in each step, and each limit with its use; None while that is not known.

    ``p95_ms``: the upstream's by minute.
    """
    recent = reading.recent
    if recent is None:
        return None
    end = reading.now_s // STEP_S * STEP_S
    times = list(range(end - LATELY_S, end, STEP_S))
    sums = [_sum(recent, time) for time in times]
    latency = {
        "p95_ms": [(p95_ms or {}).get(time // 60 * 60) for time in times],
        "threshold_ms": [reading.threshold_ms] * len(times),
    }
    rows = reading.rows.values()
    return {
        "range": RANGE,
        "times": times,
        "columns": {"allowed": [calls.allowed for calls in sums], "refused": [calls.refused for calls in sums]},
        "limits": {f"{reading.tenant_id}|{row.id}": _limit(row, recent, times) | latency for row in rows},
        "notes": [note for note in notes if note["at_ms"] >= times[0] * 1000],
    }


def _sum(recent: Recent, time: int) -> Calls:
    total = _NONE
    for second in range(time, time + STEP_S):
        total = total.plus(recent.totals.get(second, _NONE))
    return total


def _limit(row: RowReading, recent: Recent, times: list[int]) -> dict[str, list[Any]]:
    """The most that was used in each step, the largest limit, and the refusals; nothing where nothing is known."""
    name = row.action_id, row.state.limit.name
    steps: dict[int, Level] = {}
    for second, level in recent.line(name, times[0], times[-1] + STEP_S, holds_s=holds_s(row.state.limit)):
        at = second // STEP_S * STEP_S
        steps[at] = steps[at].covering(level) if at in steps else level
    refusals = recent.refusals.get(name, {})
    found = [steps.get(time) for time in times]
    return {
        "used": [level and level.used for level in found],
        "limit": [level and level.quota for level in found],
        "effective": [level and level.effective for level in found],
        "multiplier": [level and round(level.effective / max(1, level.quota), 3) for level in found],
        "refused": [sum(refusals.get(time + after, 0) for after in range(STEP_S)) for time in times],
    }
