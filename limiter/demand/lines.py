"""One worker's demand of a tenant and second, as it waits in the store for its row: a line of JSON for each part.

Workers append their lines to a field ``<second>|<tenant>``; docs/compatibility.md lists it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from limiter.core.versioned import Form, Unreadable
from limiter.demand.points import Calls, Demand, Level, Name

T = TypeVar("T", Calls, Level)


def field(second: int, tenant_id: str) -> str:
    """Where the lines of a tenant's second stand in the hash of their minute."""
    return f"{second}|{tenant_id}"


def of_field(name: str) -> tuple[int, str] | None:
    """Second and tenant ID of a field; None for one that is another release's."""
    second, mark, tenant_id = name.partition("|")
    return (int(second), tenant_id) if mark and second.isdecimal() else None


def write(calls: Mapping[Name, Calls], limits: Mapping[Name, Level]) -> str:
    """A line."""
    return FORM.dump(
        {
            "calls": [[*name, *counts] for name, counts in calls.items()],
            "limits": [[*name, *level] for name, level in limits.items()],
        }
    )


def read(lines: str | bytes, second: int) -> Demand:
    """The lines of one field together; one that cannot be read is left out."""
    demand = Demand()
    for line in lines.splitlines():
        try:
            calls, limits = FORM.load(line)
        except Unreadable:
            continue
        demand.add(Demand({n: {second: each} for n, each in calls}, {n: {second: each} for n, each in limits}))
    return demand


def _read(data: Mapping[str, Any]) -> tuple[list[tuple[Name, Calls]], list[tuple[Name, Level]]]:
    return _named(data.get("calls", ()), Calls), _named(data.get("limits", ()), Level)


def _named(rows: Iterable[Any], kind: type[T]) -> list[tuple[Name, T]]:
    """Numbers that a row lacks are 0, and those that it has beyond the known ones are left out."""
    most = len(kind._fields)
    return [((str(row[0]), str(row[1])), kind(*map(int, row[2 : 2 + most]))) for row in rows]


FORM = Form("demand", {1: _read}, lenient=True)
