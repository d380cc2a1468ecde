"""The tenants page: searched, sorted and cut into pages by the database, as its address says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tenants.models import Tenant

PAGE_SIZE = 50
_ORDERS = {
    "name": ("name", _("Tenant")),
    "connection": ("connection__name", _("Connection")),
    "status": ("status", _("Status")),
}


class Column(NamedTuple):
    """A head of the table: where it leads, and how the rows stand by it now ("", ascending or descending)."""

    title: str | Promise
    url: str
    sorted: str


class TenantPage(NamedTuple):
    """``next`` and ``previous``: the addresses of the pages after and before; empty where there is none."""

    rows: Page[Tenant]
    search: str
    columns: list[Column]
    next: str
    previous: str


def page(asked: Mapping[str, str], seen: QuerySet[Tenant]) -> TenantPage:
    """The page that ``asked`` describes, of the tenants that the person sees."""
    search, sort = asked.get("q", "").strip().replace("\0", ""), asked.get("sort", "name")
    name = sort.removeprefix("-")
    if name not in _ORDERS:
        name = sort = "name"
    found = seen.select_related("connection")
    if search:
        within = Q(name__icontains=search) | Q(tenant_id__icontains=search) | Q(connection__name__icontains=search)
        found = found.filter(within)
    down = "-" if sort.startswith("-") else ""
    ordered = found.order_by(f"{down}{_ORDERS[name][0]}", f"{down}tenant_id")
    rows = Paginator(ordered, PAGE_SIZE).get_page(asked.get("page"))
    columns = [
        Column(title, _address(search, f"-{each}" if sort == each else each), _state(each, sort))
        for each, (_field, title) in _ORDERS.items()
    ]
    return TenantPage(
        rows,
        search,
        columns,
        next=_address(search, sort, rows.next_page_number()) if rows.has_next() else "",
        previous=_address(search, sort, rows.previous_page_number()) if rows.has_previous() else "",
    )


def _address(search: str, sort: str, number: int = 1) -> str:
    given = {"q": search, "sort": "" if sort == "name" else sort, "page": number if number > 1 else ""}
    return "?" + urlencode({name: value for name, value in given.items() if value})


def _state(name: str, sort: str) -> str:
    return {name: "ascending", f"-{name}": "descending"}.get(sort, "")
