"""What a report lacks, as far as the record knows: dropped by the store, not storable, or taken out by age."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from limiter.record import retention
from limiter.record.models import AuditEntry, DeadLetter, RecordGap
from limiter.reports.models import Export
from limiter.reports.selection import Selection
from tenants.models import Tenant

_OF_EVENTS = {Export.Kind.EVENTS, Export.Kind.SUMMARY}
_STREAM = re.compile(r"\{c(\d+)\}")


def notes(chosen: Selection) -> list[str]:
    """Sentences for the manifest and the reader; none when nothing is known to lack."""
    return [*_dropped(chosen), *_dead(chosen), *_taken_out(chosen)] if chosen.kind in _OF_EVENTS else []


def _dropped(chosen: Selection) -> Iterator[str]:
    """Gaps whose time reaches into the selection's, of connections that its tenants use."""
    reaches = (Q(after=None) | Q(after__lt=chosen.until)) & (Q(before=None) | Q(before__gte=chosen.since))
    connections = _connections(chosen)
    for gap in RecordGap.objects.filter(reaches).order_by("noticed_at", "pk"):
        found = _STREAM.search(gap.stream)
        if connections is None or (found and int(found[1]) in connections):
            yield (
                f"{gap.lost:,} entries of all tenants on one connection were dropped before they were stored,"
                f" made between {_time(gap.after)} and {_time(gap.before)}."
            )


def _connections(chosen: Selection) -> set[int] | None:
    seen = chosen.seen
    if seen is None:
        return None
    return set(Tenant.objects.filter(tenant_id__in=seen).values_list("connection_id", flat=True))


def _dead(chosen: Selection) -> Iterator[str]:
    """The tenant of a dead letter is unknown, so only people who see everything are notified of them."""
    if chosen.scope is not None:
        return
    count = DeadLetter.objects.filter(at__gte=chosen.since).count()
    if count:
        yield f"{count:,} entries could not be stored since {_time(chosen.since)}; they are kept as dead letters."


def _taken_out(chosen: Selection) -> Iterator[str]:
    """Events that were older than they are kept, of the selection's time."""
    entries = AuditEntry.objects.filter(kind=retention.KIND)
    if chosen.seen is not None:
        entries = entries.filter(tenant_id__in=chosen.seen)
    latest: dict[str, str] = {}
    for tenant_id, payload in entries.order_by("position").values_list("tenant_id", "payload"):
        latest[tenant_id] = max(str(payload.get("until", "")), latest.get(tenant_id, ""))
    for tenant_id, until in sorted(latest.items()):
        if until and datetime.fromisoformat(until) >= chosen.since:
            yield f"Events of {tenant_id} up to {_time(datetime.fromisoformat(until))} were taken out by their age."


def _time(moment: Any) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "a time that is not known"
