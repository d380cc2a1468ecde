"""The drawings of the PDF summary: bars over time, consumption against a limit, bars by name, steps of multipliers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from reportlab.graphics.shapes import Drawing, Line, PolyLine, Rect, String
from reportlab.lib.colors import HexColor

from limiter.reports import local_time
from quota_platform.base.time_zones import UTC_NAME

ACCENT, STOP = HexColor("#1d5fd0"), HexColor("#b3261e")
_MUTED, _LINE, _INK = HexColor("#525d6b"), HexColor("#d5dae1"), HexColor("#14181f")
_CUT = HexColor("#8a5600")
_SERIES = [HexColor(c) for c in ("#1d5fd0", "#b3261e", "#0b7547", "#8a5600", "#6b3fa0")]
_WIDTH, _LEFT, _FLOOR = 490, 46, 18


def over_time(
    moments: Sequence[datetime], values: Sequence[int], *, color: HexColor, zone: tzinfo = UTC
) -> Drawing | None:
    """One bar a span; None when all are zero."""
    top = max(values, default=0)
    if not top:
        return None
    height = 110
    drawing = _grid(height, [(0.0, "0"), (0.5, f"{top / 2:,.0f}"), (1.0, f"{top:,}")], moments, zone)
    step = (_WIDTH - _LEFT) / len(values)
    for place, value in enumerate(values):
        tall = value / top * (height - _FLOOR - 8)
        drawing.add(Rect(_LEFT + place * step, _FLOOR, step * 0.8, tall, fillColor=color, strokeColor=None))
    return drawing


def against(
    peaks: Sequence[int], effective: Sequence[int], *, limit: int, moments: Sequence[datetime], zone: tzinfo = UTC
) -> Drawing:
    """A bar a span for its fullest window, under the limit's line and a dashed one where it was cut."""
    height = 84
    top = max(limit, *peaks)
    drawing = _grid(height, [(0.0, "0"), (1.0, f"{top:,}")], moments, zone)
    step = (_WIDTH - _LEFT) / len(peaks)

    def tall(units: int) -> float:
        return units / top * (height - _FLOOR - 8)

    for place, (peak, allowed) in enumerate(zip(peaks, effective, strict=True)):
        color = STOP if peak >= allowed else ACCENT
        drawing.add(Rect(_LEFT + place * step, _FLOOR, step * 0.8, tall(peak), fillColor=color, strokeColor=None))
    y = _FLOOR + tall(limit)
    drawing.add(Line(_LEFT, y, _WIDTH, y, strokeColor=_INK, strokeWidth=1))
    if min(effective) < limit:
        points: list[float] = []
        for place, allowed in enumerate(effective):
            x, y = _LEFT + place * step, _FLOOR + tall(allowed)
            points += [x, y, x + step, y]
        drawing.add(PolyLine(points, strokeColor=_CUT, strokeWidth=1, strokeDashArray=[3, 2]))
    return drawing


def bars(named: Sequence[tuple[str, int, int]]) -> Drawing | None:
    """A bar for each name: allowed, and behind it refused, with both numbers; None when there is none."""
    top = max((allowed + refused for _, allowed, refused in named), default=0)
    if not top:
        return None
    drawing = Drawing(_WIDTH, 18 * len(named) + 2)
    for place, (name, allowed, refused) in enumerate(named):
        y = 18 * (len(named) - 1 - place)
        long, more = allowed / top * 220, refused / top * 220
        shown = name if len(name) <= 30 else name[:29] + "..."
        drawing.add(String(0, y + 5, shown, fontSize=8, fillColor=_INK))
        drawing.add(Rect(150, y + 2, long, 11, fillColor=ACCENT, strokeColor=None))
        drawing.add(Rect(150 + long, y + 2, more, 11, fillColor=STOP, strokeColor=None))
        drawing.add(String(378, y + 5, f"{allowed:,} allowed, {refused:,} refused", fontSize=7.5, fillColor=_MUTED))
    return drawing


def steps(
    changes: Sequence[tuple[datetime, str, float]], moments: Sequence[datetime], *, zone: tzinfo = UTC
) -> Drawing | None:
    """A stepped line for each of the five tenants that changed most; None when nothing changed."""
    tenants = _most_changed([tenant for _, tenant, _ in changes])
    if not tenants:
        return None
    height = 130
    top = max(1.0, *(after for _, _, after in changes))
    drawing = _grid(height, [(0.0, "0"), (0.5, f"{top / 2:g}"), (1.0, f"{top:g}")], moments, zone)
    start = moments[0]
    whole = (moments[1] - start) * len(moments)
    for place, tenant in enumerate(tenants):
        points: list[float] = []
        for at, _, after in (change for change in changes if change[1] == tenant):
            x = _LEFT + (at - start) / whole * (_WIDTH - _LEFT)
            y = _FLOOR + after / top * (height - _FLOOR - 8)
            points += [x, points[-1], x, y] if points else [x, y]
        points += [_WIDTH, points[-1]]
        drawing.add(PolyLine(points, strokeColor=_SERIES[place], strokeWidth=1.4))
        drawing.add(String(_LEFT + place * 88, 0, tenant[:16], fontSize=7.5, fillColor=_SERIES[place]))
    return drawing


def _most_changed(tenants: Sequence[str]) -> list[str]:
    return sorted(set(tenants), key=lambda name: (-tenants.count(name), name))[: len(_SERIES)]


def _grid(height: int, marks: Sequence[tuple[float, str]], moments: Sequence[datetime], zone: tzinfo) -> Drawing:
    drawing = Drawing(_WIDTH, height)
    for share, text in marks:
        y = _FLOOR + share * (height - _FLOOR - 8)
        drawing.add(Line(_LEFT, y, _WIDTH, y, strokeColor=_LINE, strokeWidth=0.5))
        drawing.add(String(_LEFT - 5, y - 3, text, fontSize=7, fillColor=_MUTED, textAnchor="end"))
    for place in range(0, len(moments), 12):
        x = _LEFT + place / len(moments) * (_WIDTH - _LEFT)
        label = local_time.text(moments[place], zone, form="%m-%d %H:%M").removesuffix(f" {UTC_NAME}")
        drawing.add(String(x, 9, label, fontSize=7, fillColor=_MUTED))
    return drawing
