"""Walking the chains from their first row to their last, and naming the first place where one is broken."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Model

from limiter.record import anchors, chain, formats, retention
from limiter.record.models import AuditEntry, ThrottleEvent
from limiter.record.retention import Cut

_READ_AT_ONCE = 2_000


class Broken(Exception):
    """The record was altered; the message names the first place."""


@dataclass
class CheckedChain:
    """The rows that were checked. ``pruned``: events that are missing because they were removed by their age."""

    chains: int = 0
    entries: int = 0
    events: int = 0
    refusals: int = 0
    anchors: int = 0
    pruned: int = 0

    def __str__(self) -> str:
        taken_out = f", after {self.pruned:,} that were taken out by their age," if self.pruned else ""
        return (
            f"{self.chains} chains with {self.entries:,} audit entries and {self.events:,} events"
            f" ({self.refusals:,} refusals){taken_out or ','} and {self.anchors} daily anchors"
        )


def verify(*, tenant_id: str | None = None, anchored_in: Path | None = None) -> CheckedChain:
    """Check all chains, or one tenant's, and the anchors; raises :class:`Broken` or ``AnchorBroken``."""
    checked = CheckedChain()
    names = (
        [tenant_id] if tenant_id is not None else sorted({*chain.tenants(AuditEntry), *chain.tenants(ThrottleEvent)})
    )
    for name in names:
        checked.chains += 1
        try:
            cut = retention.latest(name)
        except retention.Forged as forged:
            raise Broken(str(forged)) from None
        _events(name, checked, cut)  # first: it tells the very row
        _entries(name, checked, cut)
    for file, anchor in anchors.read(anchored_in):
        checked.anchors += 1
        for name, head in sorted(anchor["heads"].items()):
            if tenant_id in (None, name):
                _anchored(file, name, head)
    return checked


def _entries(tenant_id: str, checked: CheckedChain, cut: Cut | None) -> None:
    for entry in _walk(AuditEntry, tenant_id, lambda row: f"audit entry {row.pk} ({row})"):
        checked.entries += 1
        if entry.kind == chain.EVENTS and (cut is None or _last_of(entry) > cut.last):
            _vouched(entry)
        elif entry.kind == retention.KIND:
            _declared(entry, checked)


def _declared(entry: AuditEntry, checked: CheckedChain) -> None:
    """Every cut was signed, not only the last."""
    try:
        checked.pruned += retention.read(entry).rows
    except retention.Forged as forged:
        raise Broken(str(forged)) from None


def _events(tenant_id: str, checked: CheckedChain, cut: Cut | None) -> None:
    stray = ThrottleEvent.objects.filter(tenant_id=tenant_id, position__isnull=True).order_by("pk").first()
    if stray is not None:
        raise Broken(f"event {stray.pk} ({stray}) is in no chain: it was put in by hand")
    last, head = (cut.last, cut.head) if cut is not None else (0, "")
    left = ThrottleEvent.objects.filter(tenant_id=tenant_id, position__lte=last).order_by("position").first()
    if left is not None:
        raise Broken(f"event {left.pk} ({left}) at position {left.position} was put in: that far events were taken out")
    for event in _walk(ThrottleEvent, tenant_id, lambda row: f"event {row.pk} ({row})", after=last, previous=head):
        checked.events += 1
        checked.refusals += event.count
        last = event.position
    batches = AuditEntry.objects.filter(tenant_id=tenant_id, kind=chain.EVENTS).order_by("-position")
    newest = batches.first()
    expected = _last_of(newest) if newest else 0
    if last != expected:
        what = "were taken out" if last < expected else "were put in"
        raise Broken(f"events of {_named(tenant_id)} end at position {last}, the audit says {expected}: events {what}")


def _vouched(entry: AuditEntry) -> None:
    """The events' chain has, where this entry says, the hash that it had then."""
    at = _last_of(entry)
    found = ThrottleEvent.objects.filter(tenant_id=entry.tenant_id, position=at).values_list("hash", flat=True).first()
    if found is None:
        raise Broken(f"event at position {at} of {_named(entry.tenant_id)} is missing: {entry} vouches for it")
    if found != entry.payload.get("head"):
        raise Broken(f"event at position {at} of {_named(entry.tenant_id)} is not the one that {entry} vouches for")


def _last_of(batch: AuditEntry) -> int:
    """Up to which position a batch goes. Asked before its hash was checked, so it may say anything."""
    last = batch.payload.get("last") if isinstance(batch.payload, dict) else None
    if not isinstance(last, int):
        raise Broken(f"audit entry {batch.pk} ({batch}) does not say which events it vouches for: it was altered")
    return last


def _walk(
    model: type[Model], tenant_id: str, name: Callable[[Any], str], *, after: int = 0, previous: str = ""
) -> Iterator[Any]:
    """The rows of a chain, each checked against the one before; the first against its expected predecessor."""
    rows: Any = model._default_manager.filter(tenant_id=tenant_id, position__isnull=False).order_by("position")
    for expected, row in zip(itertools.count(after + 1), rows.iterator(chunk_size=_READ_AT_ONCE), strict=False):
        if row.position != expected:
            what = model._meta.verbose_name
            raise Broken(f"{what} at position {expected} of {_named(tenant_id)} is missing; {name(row)} follows")
        if getattr(row, "previous_hash", previous) != previous:
            raise Broken(f"{name(row)} at position {row.position} does not follow the one before it")
        try:
            expected_hash = chain.hash_of(row, previous=previous)
        except formats.Unknown as unknown:
            raise Broken(f"{name(row)} at position {row.position} {unknown}") from None
        if expected_hash != row.hash:
            raise Broken(f"{name(row)} at position {row.position} was altered, put in or moved")
        previous = row.hash
        yield row


def _anchored(file: str, tenant_id: str, head: dict[str, Any]) -> None:
    rows = AuditEntry.objects.filter(tenant_id=tenant_id)
    found = rows.filter(position=head["position"]).values_list("hash", flat=True).first()
    if found is None:
        last, _ = chain.head(AuditEntry, tenant_id)
        raise Broken(
            f"the chain of {_named(tenant_id)} ends at position {last}, but anchor {file} saw position"
            f" {head['position']}: its tail was cut"
        )
    if found != head["hash"]:
        raise Broken(f"audit entry at position {head['position']} of {_named(tenant_id)} is not what {file} saw")


def _named(tenant_id: str) -> str:
    return f"tenant {tenant_id}" if tenant_id else "the platform"
