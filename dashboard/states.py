"""The states of limits, of a tenant and of all tenants, and the sentence about each, as codes with values.

Refusals come from the record of demand, by the one rule of :mod:`limiter.demand.state`; so a state is the same on every
page and worker, and is entered at once and left slowly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.busiest import Crowd
from dashboard.readings import RowReading, TenantReading
from dashboard.stored import StoredReadings, by_tenant
from limiter.demand.state import LATELY_S, RefusalState, RefusedCalls

Frame = dict[str, Any]
Said = tuple[str, Frame]
"""A state (stop, near, lately, ok), and a text without its limits."""
MINUTES = LATELY_S // 60


def of_row(reading: TenantReading, row: RowReading) -> str:
    """The state of one limit, by its refusals now, its use, and its refusals lately; unknown until these are read."""
    if reading.recent is None:
        return "unknown"
    refused = reading.refused_by(row.id)
    if row.state.limit.shadow:
        return "shadow" if refused.minute or row.state.used >= row.state.effective else "ok"
    if refused.state is RefusalState.REFUSING:
        return "stop"
    if row.id in reading.near:
        return "near"
    return "lately" if refused.state is RefusalState.LATELY else "ok"


def of_tenant(reading: TenantReading, rows: Sequence[Frame], *, counted: Mapping[str, RefusedCalls]) -> Said:
    """A tenant as its page says it: also why nothing can be refused. ``counted``: its refused calls."""
    if reading.suspended:
        return "stop", {"code": "tenant.suspended"}
    if reading.recent is None:
        return "unknown", {"code": "unknown"}
    refused = counted[reading.tenant_id]
    numbers = _numbers(refused)
    if refused.state is RefusalState.REFUSING:
        return "stop", {"code": "tenant.stop", **numbers}
    if any(row["state"] == "near" for row in rows):
        return "near", {"code": "tenant.near"}
    if refused.state is RefusalState.LATELY:
        return "lately", {"code": "tenant.lately", **numbers, "last": refused.last * 1000}
    return "ok", {"code": f"tenant.{_calm(reading)}", "minutes": MINUTES, "count": reading.limits_in_force()}


def of_all(
    readings: Sequence[TenantReading],
    rows: Sequence[Frame],
    crowd: Crowd | None = None,
    *,
    counted: Mapping[str, RefusedCalls],
) -> Said:
    """All tenants of a person together; ``crowd``: where they are more than those that are read.

    ``counted``: tenant -> its refused calls.
    """
    whole = [reading for reading in readings if reading.recent is not None]
    if readings and not whole and not all(reading.suspended for reading in readings):
        return "unknown", {"code": "unknown"}
    each = [counted[reading.tenant_id] for reading in whole]
    refusing = sum(refused.state is RefusalState.REFUSING for refused in each)
    total = RefusedCalls()
    for refused in each:
        total = total.plus(refused)
    if crowd is not None:
        refusing, total = max(refusing, crowd.refusing), crowd.refused() or total
    if refusing:
        return "stop", {"code": "overview.stop", "tenants": refusing, **_numbers(total)}
    if near := {row["tenant"] for row in rows if row["state"] == "near"}:
        return "near", {"code": "overview.near", "tenants": len(near)}
    if total.quarter:
        return "lately", {"code": "overview.lately", **_numbers(total), "last": total.last * 1000}
    return "ok", {"code": "overview.quiet", "minutes": MINUTES}


def counted(readings: Sequence[TenantReading], known: StoredReadings) -> dict[str, RefusedCalls]:
    """Each tenant's refused calls: as the record of demand has them, and at least as many as there are events.

    The table of limits takes both, too: events are there before the late counts of a worker, and after its death.
    """
    apart, found = by_tenant(known), {}
    for reading in readings:
        own = apart.get(reading.tenant_id, StoredReadings())
        names = {row.state.limit.name for row in reading.rows.values()}
        calls = sum(each for (_, _, limit), each in own.refused.items() if limit in names)
        newest = (int(event.at.timestamp()) for event in own.events if not event.shadow)
        found[reading.tenant_id] = reading.refused().at_least(calls, last=max(newest, default=reading.now_s))
    return found


def concerned(state: str, rows: Sequence[Frame]) -> list[Frame]:
    """The limits that a sentence about this state names."""
    return [row for row in rows if row["state"] == state] if state != "ok" else []


def _calm(reading: TenantReading) -> str:
    """Why nothing was refused, from the plainest reason on."""
    if not reading.plans:
        return "no_actions"
    if not reading.limits_in_force():
        return "unlimited"
    return "idle" if reading.is_idle() else "quiet"


def _numbers(refused: RefusedCalls) -> Frame:
    return {"calls": refused.minute, "quarter": refused.quarter, "minutes": MINUTES}
