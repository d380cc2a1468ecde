"""The changes between two frames of one page, as a frame that the page merges into its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Frame = dict[str, Any]

_APART = frozenset({"rows", "feed", "charts", "figures"})
_APPENDED = "spark"


def delta(before: Frame, now: Frame) -> Frame:
    """The members of ``now`` that are new. Of ``rows``, ``feed``, ``charts`` and ``figures`` only what changed in them.

    ``rows``: of each row that changed its ``id`` and the members that did; ``gone``: the ids that are no more.
    ``next``: the value that a row's ``spark`` goes on with. ``feed``: lines that are new, count more or have an
    incident now. ``points``: what each chart goes on with; one of which more changed stands whole in ``charts``.
    ``figures``: those that changed.
    """
    found = {name: value for name, value in now.items() if name not in _APART and before.get(name) != value}
    found |= {"v": now["v"], "at_ms": now["at_ms"], "kind": "delta"}
    held = {row["id"]: row for row in before["rows"]}
    current = {row["id"]: row for row in now["rows"]}
    parts = {
        "rows": [_row(held.get(name), row) for name, row in current.items() if held.get(name) != row],
        "gone": [name for name in held if name not in current],
        "feed": _lines(before["feed"], now["feed"]),
        "figures": _changed(before.get("figures", {}), now.get("figures", {})),
        **_charts(before.get("charts", {}), now.get("charts", {})),
    }
    return found | {name: part for name, part in parts.items() if part}


def _row(before: Frame | None, now: Frame) -> Frame:
    if before is None:
        return now
    changed = _changed(before, now)
    spark = changed.get(_APPENDED)
    if spark and _goes_on(before[_APPENDED], spark):
        del changed[_APPENDED]
        changed["next"] = spark[-1]
    return {"id": now["id"], **changed}


def _changed(before: Frame, now: Frame) -> Frame:
    return {name: value for name, value in now.items() if before.get(name) != value}


def _goes_on(before: list[Any], now: list[Any]) -> bool:
    """One value was added at the end; where no more are kept, the first fell out."""
    return bool(now) and now[:-1] == (before if len(now) > len(before) else before[1:])


def _lines(before: list[Frame], now: list[Frame]) -> list[Frame]:
    held = {line_of(line): _grown(line) for line in before}
    return [line for line in now if held.get(line_of(line)) != _grown(line)]


def _grown(line: Frame) -> tuple[Any, ...]:
    """What comes to a line later: more calls, and its incident."""
    return line["count"], line.get("incident")


def line_of(line: Frame) -> tuple[Any, ...]:
    """What makes two lines of the feed the same: their second and kind."""
    return line["at_ms"], line["tenant"], line["action"], line["limit"], line["shadow"]


def _charts(before: Mapping[str, Frame], now: Mapping[str, Frame]) -> Frame:
    points, whole = {}, {}
    for name, chart in now.items():
        held = before.get(name)
        if held == chart:
            continue
        if held and all(_goes_on(*pair) for pair in _columns(held, chart)):
            columns = {column: values[-1] for column, values in chart["columns"].items()}
            points[name] = {"time": chart["times"][-1], "columns": columns}
        else:
            whole[name] = chart
    return {"points": points, "charts": whole}


def _columns(before: Frame, now: Frame) -> Iterator[tuple[list[Any], list[Any]]]:
    yield before["times"], now["times"]
    for name, values in now["columns"].items():
        yield before["columns"].get(name, []), values
