"""The rows of the table of limits, as frames carry them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from dashboard import states, stored
from dashboard.deltas import Frame
from dashboard.live_lines import KEPT
from dashboard.readings import RowReading, TenantReading
from dashboard.stored import Kind, StoredReadings
from limiter.core.algorithms import rules_of
from limiter.core.thresholds import near_at
from limiter.core.types import MICROS, CountedPer, Limit, LimitState

_SPARK = 40
_AT_ONCE = 20
"""Tenants whose rows are made in one go."""


def rows_by_tenant(readings: Iterable[TenantReading], known: StoredReadings) -> Iterator[list[Frame]]:
    """The rows of each reading, made as they are asked for: those of hundreds take their time."""
    apart = stored.by_tenant(known)
    for reading in readings:
        yield rows_of(reading, apart.get(reading.tenant_id, StoredReadings()))


async def all_rows(readings: Iterable[TenantReading], known: StoredReadings) -> list[Frame]:
    """All rows, with a pause for callers now and then."""
    rows: list[Frame] = []
    for number, some in enumerate(rows_by_tenant(readings, known)):
        rows += some
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
    return rows


def rows_of(reading: TenantReading, known: StoredReadings) -> list[Frame]:
    return [_row(reading, row, known) for row in reading.rows.values() if _worth_showing(reading, row, known)]


def _worth_showing(reading: TenantReading, row: RowReading, known: StoredReadings) -> bool:
    """A limit that nothing was counted against lately would only be noise, and so would calls in flight of others."""
    if any(_refusals(reading, row, known)):
        return True
    if _others_in_flight(reading, row):
        return False
    return bool(row.state.used) or reading.at - reading.used_at.get(row.id, 0.0) < KEPT


def _others_in_flight(reading: TenantReading, row: RowReading) -> bool:
    """Whether the calls in it are those of other tenants, since this one makes none: it is full for somebody else."""
    limit = row.state.limit
    shared = limit.counted_per is CountedPer.CONNECTION and rules_of(limit.algorithm).holds_slots
    return shared and not reading.called_lately()


def _refusals(reading: TenantReading, row: RowReading, known: StoredReadings) -> tuple[int, int]:
    """Calls that it refused in the last 15 minutes, and those that it would have refused as a shadow limit.

    Events tell the two apart, and have those that a worker refused alone. The record of demand has newer ones, in one
    number for both: those that no event tells of are of the kind that the limit is now.
    """
    refused, shadow = (_events(of, reading, row) for of in (known.refused, known.shadow))
    recorded = reading.refused_by(row.id).quarter
    if row.state.limit.shadow:
        return refused, max(shadow, recorded - refused)
    return max(refused, recorded - shadow), shadow


def _events(kinds: Mapping[Kind, int], reading: TenantReading, row: RowReading) -> int:
    return sum(
        calls
        for (tenant, of, limit), calls in kinds.items()
        if tenant == reading.tenant_id and limit == row.state.limit.name and row.action_id in ("", of)
    )


def _row(reading: TenantReading, row: RowReading, known: StoredReadings) -> Frame:
    state, limit = row.state, row.state.limit
    refused, shadow = _refusals(reading, row, known)
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
        "shadow": limit.shadow,
        "refused_15m": refused,
        "shadow_15m": shadow,
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
