"""The table on the page of a shared limit: its columns, and what its address asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from dashboard.topics import PoolView, view_of

COLUMNS = {
    "tenant": _("Tenant"),
    "class": _("Class"),
    "weight": _("Weight"),
    "floor": _("Floor"),
    "ceiling": _("Ceiling"),
    "used": _("Used"),
    "share": _("Share"),
    "owed": _("Kept for it"),
    "lent": _("Lent to others"),
    "borrowed": _("Borrowed"),
    "refused_15m": _("Refused, 15 min"),
}
IN_WORDS = ("tenant", "class")
FIRST = "-used"
"""The order of an address that names none."""


class Head(NamedTuple):
    """A head of the table: where it leads, and how the rows stand by it now ("", ascending or descending)."""

    title: str | Promise
    url: str
    sorted: str
    number: bool


class PoolTable(NamedTuple):
    """``heads``: those of the columns. ``sort``: the order in force."""

    view: PoolView
    sort: str
    heads: list[Head]

    def query(self, **more: str | int) -> str:
        """As the addresses of its frames have it."""
        given = {"sort": self.sort, "page": self.view.page, "q": self.view.search}
        return urlencode(more | given)


def table(query: Mapping[str, str], connection: int, limit: str) -> PoolTable:
    """The table that an address asks for. Of numbers the largest stand first when you choose their column."""
    view = view_of(connection, limit, query)
    sort = order_of(view.sort)
    heads = [_head(name, title, sort, view.search) for name, title in COLUMNS.items()]
    return PoolTable(view, sort, heads)


def order_of(sort: str) -> str:
    """The order in force for one that was asked for."""
    return sort if sort.removeprefix("-") in COLUMNS else FIRST


def _head(name: str, title: str | Promise, sort: str, search: str) -> Head:
    number = name not in IN_WORDS
    first, turned = (f"-{name}", name) if number else (name, f"-{name}")
    wanted = {"q": search, "sort": turned if sort == first else first}
    state = {name: "ascending", f"-{name}": "descending"}.get(sort, "")
    return Head(title, "?" + urlencode({key: value for key, value in wanted.items() if value}), state, number)
