"""The refusals a person may read, as the refusals page lists them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from dashboard import listing
from dashboard.listing import Asked, Listing
from dashboard.sorting import SortOrder
from limiter.record.by_decision import rows_of
from limiter.record.explain import why
from limiter.record.limit_names import is_limit, limit_in_words
from limiter.record.models import ThrottleEvent

MAX_BY_CALLS = 10_000
"""No index has them by their calls: of the newest only so many are sorted."""
_FIELDS = {"tenant": "tenant_id", "action": "action_id", "limit": "limit_name", "decision": "decision_id"}
_ORDERS = {
    "time": SortOrder(_("Time"), ("at", "id")),
    "tenant": SortOrder(_("Tenant and action"), ("tenant_id", "action_id", "-at", "-id")),
    "limit": SortOrder(_("Limit"), ("limit_name", "-at", "-id")),
    "calls": SortOrder(_("Calls"), ("count", "at", "id")),
}


@dataclass(frozen=True, slots=True)
class RefusalLine:
    """``counted``: a limit refused the call, so its use is worth showing."""

    event: ThrottleEvent
    limit: str
    counted: bool
    why: str


def page(asked: Mapping[str, str], *, tenant_ids: Collection[str] | None) -> Listing[RefusalLine]:
    """The page that ``asked`` describes. ``tenant_ids`` are those the person may see; None means every one."""
    wanted = listing.read(asked, names=(*_FIELDS, "kind"), orders=_ORDERS)
    events = _chosen(wanted, tenant_ids)
    if wanted.sort.endswith("calls"):
        events = ThrottleEvent.objects.filter(pk__in=events.order_by("-at", "-id").values("pk")[:MAX_BY_CALLS])
    found = listing.page(events, wanted, _ORDERS)
    return found.shown_as([_line(event) for event in found.rows])


def _line(event: ThrottleEvent) -> RefusalLine:
    limit = limit_in_words(event.limit_name)
    return RefusalLine(event, limit, counted=is_limit(event.limit_name), why=why(event))


def _chosen(asked: Asked, tenant_ids: Collection[str] | None) -> QuerySet[ThrottleEvent]:
    events, filters, span = ThrottleEvent.objects.all(), asked.filters, asked.span
    if tenant_ids is not None:
        events = events.filter(tenant_id__in=tenant_ids)
    for name, field in _FIELDS.items():
        if name in filters:
            value = filters[name]
            events = rows_of(value, among=events) if name == "decision" else events.filter(**{field: value})
    if filters.get("kind") in ("shadow", "refused"):
        events = events.filter(shadow=filters["kind"] == "shadow")
    if span.since:
        events = events.filter(at__gte=span.since)
    return events.filter(at__lt=span.until) if span.until else events
