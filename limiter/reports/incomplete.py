"""What a report lacks, as far as the record knows: dropped by the store, not storable, or taken out by age."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from limiter.record import retention, rollup
from limiter.record.models import AuditEntry, DeadLetter, RecordGap, UsageDay, UsageHour, UsageMinute
from limiter.record.models.usage import Usage
from limiter.reports import sources
from limiter.reports.local_time import text
from limiter.reports.models import Export
from limiter.reports.selection import Selection
from tenants.models import Tenant

_OF_EVENTS = {Export.Kind.EVENTS, Export.Kind.SUMMARY}
_OF_USAGE = {Export.Kind.USAGE, Export.Kind.SUMMARY}
_LEVELS: dict[type[Usage], str] = {UsageMinute: "minute", UsageHour: "hour", UsageDay: "day"}
_STREAM = re.compile(r"\{c(\d+)\}")


def notes(chosen: Selection) -> list[str]:
    """Sentences for the manifest and the reader; none when nothing is known to lack."""
    lacking = [*_dropped(chosen), *_dead(chosen), *_taken_out(chosen)] if chosen.kind in _OF_EVENTS else []
    return [*lacking, *_too_fine(chosen)] if chosen.kind in _OF_USAGE else lacking


def _dropped(chosen: Selection) -> Iterator[str]:
    """Gaps whose time reaches into the selection's, of connections that its tenants use."""
    reaches = (Q(after=None) | Q(after__lt=chosen.until)) & (Q(before=None) | Q(before__gte=chosen.since))
    connections = _connections(chosen)
    for gap in RecordGap.objects.filter(reaches).order_by("noticed_at", "pk"):
        found = _STREAM.search(gap.stream)
        if connections is None or (found and int(found[1]) in connections):
            yield (
                f"{gap.lost:,} entries of all tenants on one connection were dropped before they were stored,"
                f" made between {_time(gap.after, chosen)} and {_time(gap.before, chosen)}."
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
        since = _time(chosen.since, chosen)
        yield f"{count:,} entries could not be stored since {since}; they are kept as dead letters."


def _taken_out(chosen: Selection) -> Iterator[str]:
    """Events that were older than they are kept, of the selection's time."""
    entries = AuditEntry.objects.filter(kind=retention.KIND)
    if chosen.seen is not None:
        entries = entries.filter(tenant_id__in=chosen.seen)
    latest: dict[str, str] = {}
    for tenant_id, payload in entries.order_by("position").values_list("tenant_id", "payload"):
        latest[tenant_id] = max(str(payload.get("until", "")), latest.get(tenant_id, ""))
    for tenant_id, until in sorted(latest.items()):
        if until and (moment := datetime.fromisoformat(until)) >= chosen.since:
            yield f"Events of {tenant_id} up to {_time(moment, chosen)} were taken out by their age."


def _too_fine(chosen: Selection) -> Iterator[str]:
    """Usage that is no longer kept at the level that the ends need: midnights of a zone may be no full hours in UTC."""
    level = sources.row_level(chosen) if chosen.kind == Export.Kind.USAGE else sources.level(chosen)
    age = rollup.kept()[level]
    if age is not None and chosen.since < (oldest := timezone.now() - age):
        yield (
            f"Usage by the {_LEVELS[level]}, which the ends of this time need, is kept for {age.days:,} days:"
            f" calls before {_time(min(oldest, chosen.until), chosen)} may be missing."
        )


def _time(moment: datetime | None, chosen: Selection) -> str:
    return text(moment, chosen.zone, form="%Y-%m-%d %H:%M:%S") if moment else "a time that is not known"
