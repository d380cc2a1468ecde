"""Usage: from the store's counts by the minute into rows by the minute, the hour and the day.

A batch is added to all three levels in one transaction together with its name, so it is added once however often it
is tried, and a day never waits for its hours.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from limiter.core import keys
from limiter.record import batches, turn
from limiter.record.models import UsageBatch
from limiter.record.models.usage import COUNTERS, LEVELS, Usage, span_start
from limiter.record.scripts import Client

Span = tuple[str, str, datetime]
"""Tenant, action and start."""
Counts = dict[Span, Counter[str]]

_NAMES = {"latency_us": "latency_us_sum"}
_WRITTEN_AT_ONCE = 500
log = logging.getLogger(__name__)


def drain(client: Client, connection: int) -> int:
    """Store the counts of a connection's calls; returns the number of counts."""
    name = keys.usage(connection)
    batch = batches.take(client, name)
    if batch is None:
        return 0
    stored = store(batch.name, read(batch.counts))
    batches.drop(client, name, batch)
    return len(batch.counts) if stored else 0


def read(counts: Mapping[str, str]) -> Counts:
    """The store's fields as counts by minute; latency buckets stay under their names, ``ms<bucket>``."""
    found: Counts = defaultdict(Counter)
    for field, count in counts.items():
        minute, tenant, action, counter = (field.split("|") + [""] * 3)[:4]
        if not (minute.isdecimal() and count.isdecimal() and counter):
            log.error("nobody knows the count %s; it is left out", field)
            continue
        span = tenant, action, datetime.fromtimestamp(int(minute) * 60, UTC)
        if counter == "extra_cost" or counter == "allowed":
            found[span]["cost"] += int(count)
        if counter != "extra_cost":
            found[span][_NAMES.get(counter, counter)] += int(count)
    return found


def store(batch: str, minutes: Counts) -> bool:
    """Add a batch's counts to the rows; False when it was added before."""
    with turn.taken(turn.USAGE):
        _, new = UsageBatch.objects.get_or_create(batch=batch)
        if new:
            for model, span in LEVELS:
                sums: Counts = defaultdict(Counter)
                for (tenant, action, start), counts in minutes.items():
                    sums[tenant, action, span_start(start, span)].update(counts)
                _add(model, sums)
    return new


def _add(model: type[Usage], sums: Counts) -> None:
    spans = sorted(sums)
    for at in range(0, len(spans), _WRITTEN_AT_ONCE):
        part = spans[at : at + _WRITTEN_AT_ONCE]
        rows = _stored(model, part)
        for span in part:
            row = rows.setdefault(span, model(tenant_id=span[0], action_id=span[1], start=span[2]))
            _count(row, sums[span])
        manager: Any = model._default_manager
        manager.bulk_create(
            [rows[span] for span in part],
            update_conflicts=True,
            unique_fields=["tenant_id", "action_id", "start"],
            update_fields=[*COUNTERS, "latency_histogram"],
        )


def _stored(model: type[Usage], spans: list[Span]) -> dict[Span, Usage]:
    """Rows that exist already. More may be read than are wanted: the product of the names."""
    manager: Any = model._default_manager
    tenants, actions, starts = (set(names) for names in zip(*spans, strict=True))
    found = manager.filter(start__in=starts, tenant_id__in=tenants, action_id__in=actions)
    return {(row.tenant_id, row.action_id, row.start): row for row in found}


def _count(row: Usage, counts: Counter[str]) -> None:
    for counter, count in counts.items():
        if counter.startswith("ms"):
            bucket = counter.removeprefix("ms")
            row.latency_histogram[bucket] = row.latency_histogram.get(bucket, 0) + count
        elif counter in COUNTERS:
            setattr(row, counter, getattr(row, counter) + count)
        else:
            log.error("nobody knows the counter %s; a newer worker may have written it", counter)
