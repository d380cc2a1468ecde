"""The refusals a person may read, as the refusals page lists them: filtered, newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import QuerySet

from dashboard import times
from limiter.record.by_decision import rows_of
from limiter.record.models import ThrottleEvent

PAGE_SIZE = 50
_FIELDS = {"tenant": "tenant_id", "action": "action_id", "limit": "limit_name", "decision": "decision_id"}


@dataclass(frozen=True, slots=True)
class RefusalPage:
    """One page of refusals; ``older`` is the query string of the next one, empty when there is none."""

    events: list[ThrottleEvent]
    filters: dict[str, str]
    older: str
    wrong: str = ""
    """What of the address cannot be read, and the remedy."""


def page(asked: Mapping[str, str], *, tenant_ids: Collection[str] | None) -> RefusalPage:
    """The page that ``asked`` describes. ``tenant_ids`` are those the person may see; None means every one."""
    filters = {name: asked[name].strip() for name in (*_FIELDS, "kind", *times.NAMES) if asked.get(name, "").strip()}
    span = times.read(filters)
    events = _chosen(filters, tenant_ids, span)
    before = asked.get("before", "")
    if before.isdigit() and (last := ThrottleEvent.objects.filter(pk=int(before[:18])).first()):
        events = events.filter(at__lte=last.at).exclude(at=last.at, pk__gte=last.pk)
    found = list(events[: PAGE_SIZE + 1])
    older = urlencode({**filters, "before": found[PAGE_SIZE - 1].pk}) if len(found) > PAGE_SIZE else ""
    return RefusalPage(events=found[:PAGE_SIZE], filters=filters, older=older, wrong=span.wrong)


def _chosen(
    filters: Mapping[str, str], tenant_ids: Collection[str] | None, span: times.Span
) -> QuerySet[ThrottleEvent]:
    events = ThrottleEvent.objects.all()
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
