"""Lists of the record as their pages show them: filtered and sorted as the address says, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet

from dashboard import sorting, times
from dashboard.sorting import Column, Orders

PAGE_SIZE = 50
NEWEST = "-time"
"""The order of a list that is asked for no other."""

Row = TypeVar("Row", bound=Model)
Shown = TypeVar("Shown")
Line = TypeVar("Line")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks a list for. ``filters``: those that are set; times as text, which ``span`` means."""

    filters: dict[str, str]
    span: times.TimeFilter
    sort: str
    zone: str
    before: str

    def address(self, *, sort: str = "", **more: str) -> str:
        """The query string of the same rows, with this order or the one they have."""
        sort = sort or self.sort
        span = times.in_address(self.span)
        given = {**self.filters, **span, "sort": "" if sort == NEWEST else sort, "tz": self.zone, **more}
        return urlencode({name: value for name, value in given.items() if value})


@dataclass(frozen=True, slots=True)
class Listing(Generic[Shown]):
    """A page. ``filters``: the values of the form's fields; ``sort``: empty for the usual order; ``older``: the query
    string of the page after it, empty when there is none; ``here``: that of its first page, which means the same in
    every time zone; ``wrong``: what of the address cannot be read, and the remedy.
    """

    rows: list[Shown]
    filters: dict[str, str]
    sort: str
    columns: list[Column]
    older: str
    here: str
    wrong: str

    def shown_as(self, lines: list[Line]) -> Listing[Line]:
        """The same page with these in place of its rows."""
        rest = (self.filters, self.sort, self.columns, self.older, self.here, self.wrong)
        return Listing(lines, *rest)


def read(asked: Mapping[str, str], *, names: Collection[str], orders: Orders) -> Asked:
    """``names``: the filters of the list, beside its times."""
    filters = {name: asked[name].strip() for name in (*names, *times.NAMES) if asked.get(name, "").strip()}
    sort = sorting.chosen(asked, orders, default=NEWEST)
    return Asked(filters, times.read(asked), sort, asked.get("tz", ""), asked.get("before", ""))


def page(rows: QuerySet[Row], asked: Asked, orders: Orders) -> Listing[Row]:
    """One page of these rows, those after the row that the address names."""
    fields = sorting.fields_of(asked.sort, orders)
    rows = rows.order_by(*fields)
    if asked.before.isdigit() and (last := rows.model._default_manager.filter(pk=int(asked.before[:18])).first()):
        rows = sorting.after(rows, fields, last)
    found = list(rows[: PAGE_SIZE + 1])
    more = len(found) > PAGE_SIZE
    return Listing(
        rows=found[:PAGE_SIZE],
        filters=asked.filters | times.in_form(asked.filters, asked.span),
        sort="" if asked.sort == NEWEST else asked.sort,
        columns=[*sorting.columns(orders, asked.sort, lambda name: "?" + asked.address(sort=name))],
        older=asked.address(before=str(found[PAGE_SIZE - 1].pk)) if more else "",
        here=asked.address(tz=""),
        wrong=asked.span.wrong,
    )
