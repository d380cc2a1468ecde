"""The key figures of the overview. Each is declared here and nowhere else: frames and pages loop over ``FIGURES``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from dashboard.busiest import Crowd
from dashboard.readings import TenantReading
from limiter.demand.coverage import Covered, covers
from limiter.demand.points import Calls
from limiter.demand.state import NOW_S


@dataclass(frozen=True, slots=True)
class Now:
    """What figures are computed from: the tenants that somebody may see, their refusals not in the database yet, and
    their calls that wait for their turn.

    ``returned``: calls that came back at the time of their Retry-After in the last 15 minutes, and those then admitted.
    """

    readings: Sequence[TenantReading]
    names: Mapping[str, str] = field(default_factory=dict)
    events_waiting: int | None = None
    calls_waiting: int = 0
    returned: tuple[int, int] = (0, 0)
    crowd: Crowd | None = None
    """Where the tenants are more than those that are read."""

    def name_of(self, reading: TenantReading) -> str:
        return self.names.get(reading.tenant_id, reading.tenant_id)

    def pace(self) -> tuple[int, int] | None:
        """Calls allowed and refused in the last minute; None while that is not known of anybody."""
        if self.crowd is not None:
            return self.crowd.pace()
        known = [reading.last_minute() for reading in self.readings if reading.recent is not None]
        if not known and self.readings:
            return None
        return sum(calls.allowed for calls in known), sum(calls.refused for calls in known)


@dataclass(frozen=True, slots=True)
class Value:
    """``note`` is a key of the figure's notes and ``about`` its parameters; ``state`` is near, stop or empty."""

    value: float | None
    note: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """``form`` says how the page writes its value: ``whole`` or ``percent``; ``tone`` colours its line."""

    name: str
    label: str | Promise
    read: Callable[[Now], Value]
    notes: Mapping[str, str | Promise]
    unit: str = ""
    form: str = "whole"
    tone: str = ""
    of_calls: Callable[[int, int], int] | None = None
    """Its value in a minute in which so many calls were allowed and refused, for one that counts calls."""
    at_a_glance: bool = False
    """Whether the admin's first page shows it, too."""

    def data(self, now: Now) -> dict[str, Any]:
        """The figure as frames carry it: its note as a code, for each viewer reads it in their own language."""
        seen = self.read(now)
        note = {"code": self._code(seen.note), **seen.about} if seen.note else None
        return {"value": seen.value, "state": seen.state, "note": note}

    def words(self) -> dict[str, str]:
        """The words of its notes by their codes, for the page."""
        return {self._code(name): str(text) for name, text in self.notes.items()}

    def _code(self, note: str) -> str:
        return f"figure.{self.name}.{note}"


def _calls(now: Now) -> Value:
    pace = now.pace()
    return Value(None if pace is None else sum(pace), "time")


def _share(part: int, whole: int) -> dict[str, float]:
    return {"share": part / whole if whole else 0.0}


def _allowed(now: Now) -> Value:
    if (pace := now.pace()) is None:
        return Value(None)
    return Value(pace[0], "share", _share(pace[0], sum(pace)))


def _refused(now: Now) -> Value:
    if (pace := now.pace()) is None:
        return Value(None)
    return Value(pace[1], "share", _share(pace[1], sum(pace)), state="stop" if pace[1] else "")


def _p95(now: Now) -> Value:
    measured = [(r.evidence.p95_us, r) for r in now.readings if r.evidence and r.evidence.p95_us]
    if not measured:
        return Value(None, "none")
    p95_us, slowest = max(measured, key=lambda each: each[0])
    about = {"threshold": slowest.threshold_ms, "tenant": now.name_of(slowest)}
    over = slowest.is_slow()
    return Value(round(p95_us / 1000), "slow" if over else "well", about, state="near" if over else "")


def _multiplier(now: Now) -> Value:
    lowest = min(now.readings, key=lambda reading: reading.multiplier, default=None)
    if lowest is None or lowest.multiplier >= 1:
        return Value(1.0 if lowest is None else round(lowest.multiplier, 2), "none")
    return Value(round(lowest.multiplier, 2), "lowest", {"tenant": now.name_of(lowest)}, state="near")


def _kept(now: Now) -> Value:
    returned, kept = now.returned
    if not returned:
        return Value(None, "none")
    return Value(round(kept / returned, 4), "of", {"calls": returned}, state="near" if kept < returned * 0.99 else "")


def _calls_waiting(now: Now) -> Value:
    return Value(now.calls_waiting, "some" if now.calls_waiting else "none")


def _waiting(now: Now) -> Value:
    return Value(now.events_waiting, "some" if now.events_waiting else "none")


FIGURES = (
    Figure(
        "calls_per_min",
        _("Calls a minute"),
        _calls,
        {"time": _("in the last minute")},
        of_calls=lambda allowed, refused: allowed + refused,
        at_a_glance=True,
    ),
    Figure(
        "allowed_per_min",
        _("Allowed a minute"),
        _allowed,
        {"share": _("{share|percent} of calls")},
        of_calls=lambda allowed, _refused: allowed,
    ),
    Figure(
        "refused_per_min",
        _("Refused a minute"),
        _refused,
        {"share": _("{share|percent} of calls")},
        tone="stop",
        of_calls=lambda _allowed, refused: refused,
        at_a_glance=True,
    ),
    Figure(
        "p95_ms",
        _("Upstream p95"),
        _p95,
        {
            "none": _("no latency measured lately"),
            "well": _("limits are cut above {threshold} ms"),
            "slow": _("{tenant}: above {threshold} ms"),
        },
        unit="ms",
        at_a_glance=True,
    ),
    Figure(
        "multiplier",
        _("Limits cut to"),
        _multiplier,
        {"none": _("no limit is cut"), "lowest": _("{tenant}, the lowest")},
        form="percent",
    ),
    Figure(
        "calls_waiting",
        _("Calls waiting"),
        _calls_waiting,
        {"none": _("no call waits for its turn"), "some": _("for their turn")},
    ),
    Figure(
        "kept",
        _("Retry-After kept"),
        _kept,
        {"none": _("no refused call came back at its time"), "of": _("{calls} calls came back")},
        form="percent",
    ),
    Figure(
        "events_waiting",
        _("Refusals to be stored"),
        _waiting,
        {"none": _("all are in the record"), "some": _("not in the record yet")},
        at_a_glance=True,
    ),
)


def data(now: Now) -> dict[str, Any]:
    """All figures by their names, as a frame carries them."""
    return {figure.name: figure.data(now) for figure in FIGURES}


def before(
    readings: Sequence[TenantReading],
    crowd: Crowd | None = None,
    *,
    seconds: int,
    covered: Sequence[Covered] | None,
) -> list[dict[str, Any]]:
    """The figures that count calls, as they were in each of the seconds before the last one; empty if unknown.

    ``covered``: the times of which all is known; None if that is not known, and then no minute without calls is.
    """
    known = [reading for reading in readings if reading.recent is not None]
    if crowd is not None:
        parts, now = [crowd.calls] if crowd.calls is not None else [], crowd.now_s
    else:
        parts = [reading.recent.totals for reading in known if reading.recent]
        now = max((reading.now_s for reading in known), default=0)
    return _before(parts, now, seconds, covered) if parts else []


def _before(
    parts: Sequence[Mapping[int, Calls]], now: int, seconds: int, covered: Sequence[Covered] | None
) -> list[dict[str, Any]]:
    allowed, refused = Counter[int](), Counter[int]()
    for part in parts:
        for second, calls in part.items():
            allowed[second] += calls.allowed
            refused[second] += calls.refused
    found = []
    for second in range(now - seconds, now):
        minute = range(second - NOW_S + 1, second + 1)
        passed, turned_away = sum(allowed[each] for each in minute), sum(refused[each] for each in minute)
        is_known = bool(passed or turned_away) if covered is None else covers(covered, second, second + 1)
        found.append(
            {
                each.name: {"value": each.of_calls(passed, turned_away) if is_known else None}
                for each in FIGURES
                if each.of_calls is not None
            }
        )
    return found


def words() -> dict[str, str]:
    """The words of all their notes, in the language of the moment."""
    return {code: text for figure in FIGURES for code, text in figure.words().items()}
