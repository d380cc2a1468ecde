"""Hash chains: each entry's hash covers the one before it, so that nothing is altered, taken out or put in unseen.

A tenant has two: its audit entries, and its throttle events. Every batch of events enters the chain of audit entries
with the events' newest hash, so the head of the latter vouches for both. ``tenant_id`` "" is the platform's own chain.
What a hash covers is a matter of the row's format (:mod:`limiter.record.formats`).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model
from django.utils import timezone

from limiter.record import formats, turn
from limiter.record.models import AuditEntry, ThrottleEvent

EVENTS = "events"
"""Kind of the entry that a batch of throttle events makes."""
_COLUMNS = [field for field in ThrottleEvent._meta.concrete_fields if not field.primary_key]


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be made. ``once``: a name under which it is entered only the first time."""

    kind: str
    tenant_id: str = ""
    actor: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    once: str | None = None


def hash_of(row: AuditEntry | ThrottleEvent, *, previous: str) -> str:
    """SHA-256 of the hash before and what the row's format covers, in hexadecimal; raises ``formats.Unknown``."""
    names = formats.covered(type(row), row.format)
    covered: list[Any] = [previous, *(_plain(getattr(row, name)) for name in names)]
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def append(drafts: Sequence[Draft]) -> list[AuditEntry]:
    """Enter all that have not been entered under their ``once``; inside the caller's transaction if there is one."""
    if not drafts:
        return []
    with turn.taken(turn.CHAIN):
        names = [draft.once for draft in drafts if draft.once is not None]
        done = set(AuditEntry.objects.filter(once__in=names).values_list("once", flat=True)) if names else set()
        by_tenant: dict[str, list[Draft]] = defaultdict(list)
        for draft in drafts:
            if draft.once is None or draft.once not in done:
                by_tenant[draft.tenant_id].append(draft)
                done.add(draft.once)
        entries = [entry for tenant_id, wanted in by_tenant.items() for entry in _linked(tenant_id, wanted)]
        return AuditEntry.objects.bulk_create(entries)


def _linked(tenant_id: str, drafts: Iterable[Draft]) -> Iterable[AuditEntry]:
    position, previous = head(AuditEntry, tenant_id)
    for draft in drafts:
        position += 1
        entry = AuditEntry(
            tenant_id=tenant_id,
            position=position,
            kind=draft.kind,
            at=draft.at or timezone.now(),
            actor=draft.actor,
            payload=draft.payload,
            once=draft.once,
            previous_hash=previous,
            format=formats.newest(AuditEntry),
        )
        entry.hash = previous = hash_of(entry, previous=previous)
        yield entry


def head(model: type[Model], tenant_id: str) -> tuple[int, str]:
    """Position and hash of the newest row of a chain; 0 and "" when it has none."""
    rows: Any = model._default_manager.filter(tenant_id=tenant_id, position__isnull=False)
    found = rows.order_by("-position").values_list("position", "hash").first()
    return found or (0, "")


_HEADS = """
WITH RECURSIVE owner(name) AS (
    SELECT MIN(tenant_id) FROM {table}
    UNION ALL
    SELECT (SELECT MIN(tenant_id) FROM {table} WHERE tenant_id > owner.name) FROM owner WHERE owner.name IS NOT NULL
)
SELECT head.tenant_id, head.position, head.hash, head.format FROM owner
JOIN {table} AS head ON head.tenant_id = owner.name
    AND head.position = (SELECT MAX(position) FROM {table} WHERE tenant_id = owner.name)
"""
"""From one owner to the next and to its newest row, by the index on both: the other rows are not read."""


def heads() -> dict[str, dict[str, Any]]:
    """Position, hash and format of the newest audit entry of each chain, in one query."""
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        cursor.execute(_HEADS.format(table=connection.ops.quote_name(AuditEntry._meta.db_table)))
        return {
            owner: {"position": position, "hash": hash_, "format": format_}
            for owner, position, hash_, format_ in cursor.fetchall()
        }


def tenants(model: type[Model]) -> Iterator[str]:
    """The owners of chains, in order. One query for each: the database has no cheap way to name them all."""
    rows: Any = model._default_manager.order_by("tenant_id").values_list("tenant_id", flat=True)
    found = rows.first()
    while found is not None:
        yield found
        found = rows.filter(tenant_id__gt=found).first()


def store_events(events: Sequence[ThrottleEvent]) -> int:
    """Store the events that are not stored yet, linked to their tenants' chains; returns how many that were."""
    with turn.taken(turn.CHAIN):
        ids = [event.stream_id for event in events]
        stored = set(ThrottleEvent.objects.filter(stream_id__in=ids).values_list("stream_id", flat=True))
        by_tenant: dict[str, list[ThrottleEvent]] = defaultdict(list)
        for event in events:
            if event.stream_id not in stored:
                stored.add(event.stream_id)
                by_tenant[event.tenant_id].append(event)
        append([_link_events(tenant_id, new) for tenant_id, new in by_tenant.items()])
        fresh = [event for new in by_tenant.values() for event in new]
        _insert(fresh)
    return len(fresh)


def _link_events(tenant_id: str, events: Sequence[ThrottleEvent]) -> Draft:
    position, previous = head(ThrottleEvent, tenant_id)
    first, number = position + 1, formats.newest(ThrottleEvent)
    for event in events:
        position += 1
        event.position, event.format = position, number
        event.hash = previous = hash_of(event, previous=previous)
    refusals = sum(event.count for event in events)
    payload = {"first": first, "last": position, "refusals": refusals, "head": previous, "format": number}
    return Draft(EVENTS, tenant_id=tenant_id, payload=payload)


def _insert(events: Sequence[ThrottleEvent], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """In the open transaction, and by COPY on PostgreSQL, which takes them twice as fast as by INSERT."""
    connection: Any = connections[using]
    if connection.vendor != "postgresql" or not events:
        ThrottleEvent.objects.using(using).bulk_create(events)
        return
    columns = ", ".join(f'"{field.column}"' for field in _COLUMNS)
    statement = f'COPY "{ThrottleEvent._meta.db_table}" ({columns}) FROM STDIN'
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for event in events:
            copy.write_row([_copied(getattr(event, field.attname)) for field in _COLUMNS])


def _copied(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
