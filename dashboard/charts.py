"""A tenant's charts: a limit with its use, or the calls of an action, over any span, from the record of demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.readings import TenantReading, holds_s
from dashboard.recorded import REACH_S, RecordedDemand
from dashboard.spans import DAY_S, Span
from limiter.core.algorithms import rules_of
from limiter.demand.coverage import covers
from limiter.demand.points import Calls, Level, Name
from limiter.record.limit_names import NAMED

Column = list[Any]
CALLS = "calls"
"""The line of all calls; of an action's, with a colon and the action ID."""
_NONE = Calls()
BESIDE_S = {"yesterday": DAY_S, "last_week": 7 * DAY_S}


@dataclass(frozen=True, slots=True)
class Around:
    """Drawn with the demand: the upstream's p95 (ms) by second, changes to mark, and the same span earlier."""

    p95_ms: Mapping[int, float] = field(default_factory=dict)
    notes: Sequence[Mapping[str, Any]] = ()
    earlier: RecordedDemand | None = None
    earlier_s: int = 0


def chart(reading: TenantReading, recorded: RecordedDemand, span: Span, *, line: str, around: Around) -> dict[str, Any]:
    """The line asked for, or the one that tells most, with all that can be asked for instead."""
    limits = _limits(reading, recorded)
    names = {f"{action}|{limit}": (action, limit) for action, limit in limits}
    calls = [CALLS, *(f"{CALLS}:{action}" for action in _actions(recorded))]
    if line not in names and line not in calls:
        line = max(names, key=lambda each: _weight(recorded, names[each])) if names else CALLS
    changed_at = max((_in_force_at(note, reading.now_s) for note in around.notes), default=span.end)
    columns = _columns(reading, recorded, span, line, names, changed_at)
    if around.earlier is not None:
        earlier = span.earlier(around.earlier_s)
        before = _columns(reading, around.earlier, earlier, line, names, earlier.end)
        columns["before"] = before.get("used") or before["allowed"]
    columns["p95_ms"] = [around.p95_ms.get(time) for time in span.times()]
    columns["threshold_ms"] = [reading.threshold_ms] * len(span.times())
    return {
        "from": span.start,
        "to": span.end,
        "step_s": span.step_s,
        "line": line,
        "lines": {
            "limits": [{"line": each, "action": action, "limit": limit} for each, (action, limit) in names.items()],
            "calls": [{"line": each, "action": each.partition(":")[2]} for each in calls],
        },
        "times": list(span.times()),
        "columns": columns,
        "notes": [note for note in around.notes if span.start <= note["at_ms"] // 1000 < span.end],
    }


def _in_force_at(note: Mapping[str, Any], now: int) -> int:
    """The second of the change, or of its end if that is over: of an override."""
    at, ended = int(note["at_ms"]) // 1000, int(note.get("until", 0)) // 1000
    return max(at, ended) if ended <= now else at


def refused_column(shadow: bool) -> str:
    """The name of a column of the record's refusals: of a shadow limit these are calls that it would have refused."""
    return "shadow_refused" if shadow else "refused"


def _limits(reading: TenantReading, recorded: RecordedDemand) -> list[Name]:
    """Those that calls met in this time, and those in force now."""
    in_force = {(row.action_id, row.state.limit.name) for row in reading.rows.values()}
    return sorted(in_force | recorded.demand.limits.keys())


def _actions(recorded: RecordedDemand) -> list[str]:
    return sorted({action for action, _ in recorded.demand.calls})


def _weight(recorded: RecordedDemand, name: Name) -> tuple[int, float, bool]:
    """By refusals and use; before any call a policy's limit comes before what stands in the place of one."""
    levels = recorded.demand.limits.get(name, {}).values()
    fullest = max((level.used / max(1, level.effective) for level in levels), default=0.0)
    return sum(level.refused for level in levels), fullest, name[1] not in NAMED


def _columns(
    reading: TenantReading,
    recorded: RecordedDemand,
    span: Span,
    line: str,
    names: Mapping[str, Name],
    changed_at: int,
) -> dict[str, Column]:
    if line in names:
        return _of_limit(reading, recorded, span, names[line], changed_at=changed_at)
    return _of_calls(recorded, span, action=line.partition(":")[2])


def _of_limit(
    reading: TenantReading, recorded: RecordedDemand, span: Span, name: Name, *, changed_at: int
) -> dict[str, Column]:
    """The most that was used in each step, the largest limit, and the refusals; nothing where nothing is known.

    The limit in force now is known without a call, and has been so since ``changed_at``.
    """
    row = reading.rows.get("|".join(name))
    holds = min(holds_s(row.state.limit), REACH_S) if row else 0
    line = recorded.demand.line(name, span.start, span.end, holds_s=holds, step_s=span.step_s)
    levels: dict[int, Level] = dict(line)
    points = recorded.demand.limits.get(name, {})
    known = [_is_known(recorded, span, time) for time in span.times()]
    found = [levels.get(time) if is_known else None for time, is_known in zip(span.times(), known, strict=True)]
    if row and reading.now_s - span.step_s <= span.end:
        newest = Level(0, row.state.effective, rules_of(row.state.limit.algorithm).capacity(row.state.limit))
        since = max(min(changed_at, span.end - 1) - span.step_s, max(points, default=0))
        for index, time in enumerate(span.times()):
            if known[index] and time > since:
                found[index] = newest._replace(used=level.used if (level := found[index]) else 0)
    return {
        "used": [
            level.used if level else (0 if is_known else None) for level, is_known in zip(found, known, strict=True)
        ],
        "limit": [level and level.quota for level in found],
        "effective": [level and level.effective for level in found],
        "multiplier": [level and round(level.effective / max(1, level.quota), 3) for level in found],
        refused_column(bool(row and row.state.limit.shadow)): [
            (points[time].refused if time in points else 0) if is_known else None
            for time, is_known in zip(span.times(), known, strict=True)
        ],
    }


def _of_calls(recorded: RecordedDemand, span: Span, *, action: str) -> dict[str, Column]:
    """Calls allowed, and calls refused or held back, in each step."""
    sums: dict[int, Calls] = {}
    for time, calls in _calls_of(recorded, action):
        sums[time] = sums.get(time, _NONE).plus(calls)
    found = [sums.get(time, _NONE) if _is_known(recorded, span, time) else None for time in span.times()]
    return {
        "allowed": [calls and calls.allowed for calls in found],
        "refused": [calls and calls.refused + calls.held_back for calls in found],
    }


def _calls_of(recorded: RecordedDemand, action: str) -> Iterator[tuple[int, Calls]]:
    for (action_id, _), time, calls in recorded.demand.each_calls():
        if action in ("", action_id):
            yield time, calls


def _is_known(recorded: RecordedDemand, span: Span, time: int) -> bool:
    """Whether the record has any part of this step."""
    return covers(recorded.covered, time, time + span.step_s)
