"""The order of a list's rows, as its address names it, and the heads of columns that change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from django.db.models import Model, Q, QuerySet
from django.utils.functional import Promise

Row = TypeVar("Row", bound=Model)


class SortOrder(NamedTuple):
    """Rows ascend by these fields; those of a name with "-" before it descend."""

    title: str | Promise
    fields: tuple[str, ...]


Orders = Mapping[str, SortOrder]


class Column(NamedTuple):
    """A head of the table: where it leads, and how the rows stand by it now ("", ascending or descending)."""

    title: str | Promise
    url: str
    sorted: str


def chosen(asked: Mapping[str, str], orders: Orders, *, default: str) -> str:
    """The name of an order, with "-" before it if it is turned around."""
    name = asked.get("sort", default)
    return name if name.removeprefix("-") in orders else default


def fields_of(sort: str, orders: Orders) -> list[str]:
    """What ``order_by`` takes."""
    fields = orders[sort.removeprefix("-")].fields
    return [_turned(field) for field in fields] if sort.startswith("-") else [*fields]


def columns(orders: Orders, sort: str, address: Callable[[str], str]) -> Iterator[Column]:
    """``address``: where an order by this name leads. The column that sorts now leads to its other direction."""
    for name, order in orders.items():
        states = {name: "ascending", f"-{name}": "descending"}
        yield Column(order.title, address(_turned(name) if sort == name else name), states.get(sort, ""))


def after(rows: QuerySet[Row], fields: Sequence[str], last: Row) -> QuerySet[Row]:
    """The rows that come after this one; together the fields tell any two rows apart."""
    later = Q()
    same: dict[str, Any] = {}
    for field in fields:
        name = field.removeprefix("-")
        later |= Q(**same, **_beyond(field, last))
        same[name] = getattr(last, name)
    return rows.filter(**_beyond(fields[0], last, same="e")).filter(later)  # the first alone is a range of an index


def _beyond(field: str, last: Model, *, same: str = "") -> dict[str, Any]:
    name = field.removeprefix("-")
    return {f"{name}__{'lt' if field.startswith('-') else 'gt'}{same}": getattr(last, name)}


def _turned(name: str) -> str:
    return name.removeprefix("-") if name.startswith("-") else f"-{name}"
