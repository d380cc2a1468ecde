"""The tenants page: searched, sorted and cut into pages by the database, as its address says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from dashboard import sorting
from dashboard.sorting import Column, SortOrder
from tenants.models import Tenant

PAGE_SIZE = 50
_ORDERS = {
    "name": SortOrder(_("Tenant"), ("name", "tenant_id")),
    "connection": SortOrder(_("Connection"), ("connection__name", "tenant_id")),
    "status": SortOrder(_("Status"), ("status", "tenant_id")),
}


class TenantPage(NamedTuple):
    """``next`` and ``previous``: the addresses of the pages after and before; empty where there is none."""

    rows: Page[Tenant]
    search: str
    columns: list[Column]
    next: str
    previous: str


def page(asked: Mapping[str, str], seen: QuerySet[Tenant]) -> TenantPage:
    """The page that ``asked`` describes, of the tenants that the person sees."""
    search = asked.get("q", "").strip().replace("\0", "")
    sort = sorting.chosen(asked, _ORDERS, default="name")
    found = seen.select_related("connection")
    if search:
        within = Q(name__icontains=search) | Q(tenant_id__icontains=search) | Q(connection__name__icontains=search)
        found = found.filter(within)
    rows = Paginator(found.order_by(*sorting.fields_of(sort, _ORDERS)), PAGE_SIZE).get_page(asked.get("page"))
    return TenantPage(
        rows,
        search,
        [*sorting.columns(_ORDERS, sort, lambda name: _address(search, name))],
        next=_address(search, sort, rows.next_page_number()) if rows.has_next() else "",
        previous=_address(search, sort, rows.previous_page_number()) if rows.has_previous() else "",
    )


def _address(search: str, sort: str, number: int = 1) -> str:
    given = {"q": search, "sort": "" if sort == "name" else sort, "page": number if number > 1 else ""}
    return "?" + urlencode({name: value for name, value in given.items() if value})
