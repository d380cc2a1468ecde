"""The rows of each kind of export, in order of time, read page by page by keyset so that memory stays flat."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from limiter.core import latency
from limiter.record import chain
from limiter.record.models import AuditEntry, MultiplierChange, ThrottleEvent, UsageDay, UsageHour, UsageMinute
from limiter.record.models.event import LISTED_FIELDS
from limiter.record.models.usage import COUNTERS, Usage
from limiter.reports.models import Export
from limiter.reports.selection import Selection
from quota_platform.base.time_zones import UTC_NAME

Row = tuple[Any, ...]
PAGE = 2_000
_EVENT = [*LISTED_FIELDS, "p95_ms", "p95_samples", "threshold_ms", "position", "hash"]
_COUNTS = [name for name in COUNTERS if name != "latency_us_sum"]
_CHANGE = ["at", "tenant_id", "position", "kind", "actor", "payload", "previous_hash", "hash"]
_TIMES = ["mean_ms", "p50_ms", "p95_ms", "p99_ms"]
COLUMNS: dict[str, list[str]] = {
    Export.Kind.EVENTS: _EVENT,
    Export.Kind.USAGE: ["start", "tenant_id", "action_id", *_COUNTS, *_TIMES],
    Export.Kind.CHANGES: _CHANGE,
    Export.Kind.SUMMARY: ["tenant_id", "action_id", *_COUNTS, *_TIMES],
}
_ZONE = "time_zone"
"""The last column of a file that is in a zone other than UTC; one in UTC has it in no column, as ever."""


def columns(chosen: Selection) -> list[str]:
    """The columns of a selection's rows."""
    return COLUMNS[chosen.kind] if chosen.time_zone == UTC_NAME else [*COLUMNS[chosen.kind], _ZONE]


def rows(chosen: Selection, *, page: int = PAGE) -> Iterator[Row]:
    """The rows of a selection, each in the order of its columns."""
    found = _found(chosen, page=page)
    return found if chosen.time_zone == UTC_NAME else ((*row, chosen.time_zone) for row in found)


def _found(chosen: Selection, *, page: int) -> Iterator[Row]:
    if chosen.kind == Export.Kind.EVENTS:
        return _paged(events(chosen), "at", _EVENT, page=page)
    if chosen.kind == Export.Kind.CHANGES:
        return _paged(_changes(chosen), "at", _CHANGE, page=page)
    return _usage(chosen, page=page) if chosen.kind == Export.Kind.USAGE else _summary(chosen, page=page)


def events(chosen: Selection) -> QuerySet[ThrottleEvent]:
    """The throttle events of a selection."""
    found = _scoped(ThrottleEvent.objects.filter(at__gte=chosen.since, at__lt=chosen.until), chosen)
    if chosen.policies:
        found = found.filter(policy_name__in=chosen.policies)
    return found.filter(action_id__in=chosen.actions) if chosen.actions else found


def multipliers(chosen: Selection) -> QuerySet[MultiplierChange]:
    """The changes of multipliers of a selection; those of whole tenants count for every action."""
    found = _scoped(MultiplierChange.objects.filter(at__gte=chosen.since, at__lt=chosen.until), chosen)
    return found.filter(Q(action_id="") | Q(action_id__in=chosen.actions)) if chosen.actions else found


def usage(chosen: Selection, *, model: type[Usage] | None = None) -> QuerySet[Any]:
    """The usage of a selection, from the coarsest level that its ends fall on exactly."""
    held: Any = model or level(chosen)
    found = _scoped(held._default_manager.filter(start__gte=chosen.since, start__lt=chosen.until), chosen)
    return found.filter(action_id__in=chosen.actions) if chosen.actions else found


def level(chosen: Selection) -> type[Usage]:
    """Days when both ends are midnights (UTC), hours when they are full hours, else minutes."""
    ends = [moment.utctimetuple() for moment in (chosen.since, chosen.until)]
    if any(end.tm_min or end.tm_sec for end in ends):
        return UsageMinute
    return UsageHour if any(end.tm_hour for end in ends) else UsageDay


def row_level(chosen: Selection) -> type[Usage]:
    """The level of the rows of usage: hours when both ends are full hours (UTC), else minutes."""
    return UsageMinute if level(chosen) is UsageMinute else UsageHour


def fine(chosen: Selection) -> type[Usage]:
    """The level to draw from: hours for more than two days when the ends are full hours, else minutes."""
    long = (chosen.until - chosen.since).total_seconds() > 2 * 86_400
    return UsageMinute if level(chosen) is UsageMinute or not long else UsageHour


def _changes(chosen: Selection) -> QuerySet[AuditEntry]:
    return _scoped(
        AuditEntry.objects.filter(at__gte=chosen.since, at__lt=chosen.until).exclude(kind=chain.EVENTS), chosen
    )


def _scoped(found: QuerySet[Any], chosen: Selection) -> QuerySet[Any]:
    return found if chosen.seen is None else found.filter(tenant_id__in=chosen.seen)


def _paged(found: QuerySet[Any], moment: str, fields: Sequence[str], *, page: int) -> Iterator[Row]:
    """By (time, id): every row once, however many share an instant, without an open cursor or an OFFSET."""
    ordered = found.order_by(moment, "id").values_list(moment, "id", *fields)
    after: tuple[datetime, int] | None = None
    while True:
        rest = ordered
        if after is not None:
            at, last = after
            rest = ordered.filter(
                Q(**{f"{moment}__gt": at}) | Q(**{moment: at, "id__gt": last}), **{f"{moment}__gte": at}
            )
        got = list(rest[:page])
        yield from (row[2:] for row in got)
        if len(got) < page:
            return
        after = (got[-1][0], got[-1][1])


def _usage(chosen: Selection, *, page: int) -> Iterator[Row]:
    """By the hour, or by the minute when the ends are not full hours."""
    model = row_level(chosen)
    fields = ["start", "tenant_id", "action_id", *_COUNTS, "latency_us_sum", "latency_histogram"]
    for row in _paged(usage(chosen, model=model), "start", fields, page=page):
        yield (*row[:-2], *_times(row[-2], Counter({int(k): n for k, n in row[-1].items()})))


def _summary(chosen: Selection, *, page: int) -> Iterator[Row]:
    """One row for each tenant and action that called."""
    sums: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    buckets: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    fields = ["tenant_id", "action_id", "latency_histogram", *COUNTERS]
    for tenant, action, histogram, *counts in _paged(usage(chosen), "start", fields, page=page):
        sums[tenant, action].update(dict(zip(COUNTERS, counts, strict=True)))
        buckets[tenant, action].update({int(bucket): calls for bucket, calls in histogram.items()})
    for pair in sorted(sums):
        counted = sums[pair]
        yield (*pair, *(counted[name] for name in _COUNTS), *_times(counted["latency_us_sum"], buckets[pair]))


def _times(latency_us_sum: int, buckets: Counter[int]) -> tuple[float | None, ...]:
    calls = sum(buckets.values())
    mean = round(latency_us_sum / calls / 1000, 3) if calls else None
    found = (latency.percentile_ms(buckets, q) for q in (50, 95, 99))
    return (mean, *(None if value is None else round(value, 1) for value in found))
