"""The end of events that were kept long enough: declared, signed and entered before the rows go.

An entry of the tenant's chain says up to which position its events were taken out, with which hash the rest goes on,
and carries a signature (Ed25519, the anchors' key): who can write the database alone can take events out, but cannot
make it look as if this had. The newest event of a tenant always stays, for the next one to follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from django.conf import settings
from django.db.models import Count, Max, Sum
from django.utils import timezone

from limiter.core import versioned
from limiter.core.versioned import Form, Unreadable
from limiter.record import anchors, chain, signing, turn
from limiter.record.chain import Draft
from limiter.record.models import AuditEntry, ThrottleEvent

KIND = "events.pruned"
_AT_ONCE = 20_000
"""Rows of one transaction: storing new events waits for it."""


class Forged(Exception):
    """An entry says that events were taken out, and this platform did not sign it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Events of one tenant that were taken out: those up to position ``last``, whose hash was ``head``.

    ``rows`` and ``refusals``: how many this cut took. ``until``: the time of the latest of them, as ISO text.
    """

    tenant_id: str
    last: int
    head: str
    rows: int
    refusals: int
    until: str

    def payload(self) -> dict[str, Any]:
        """As the entry holds it, signed."""
        return signing.sign(anchors.key(), FORM.named(asdict(self)))


FORM = Form("cut", {1: lambda data: versioned.build(Cut, data)}, field=signing.VERSION)
"""The first release takes no field more, and calls one that has it forged: nothing may be added while it runs."""


def prune(*, now: datetime | None = None, at_once: int = _AT_ONCE) -> int:
    """Take out the events that are older than they are kept; how many rows went."""
    oldest = _oldest(now)
    if oldest is None:
        return 0
    gone = 0
    for tenant_id in list(chain.tenants(ThrottleEvent)):
        while rows := _cut(tenant_id, oldest, at_once):
            gone += rows
    return gone


def due(*, now: datetime | None = None) -> Iterator[Cut]:
    """What :func:`prune` would take out, tenant by tenant; nothing is changed."""
    oldest = _oldest(now)
    if oldest is not None:
        for tenant_id in chain.tenants(ThrottleEvent):
            if (cut := _next(tenant_id, oldest, None)) is not None:
                yield cut


def read(entry: AuditEntry) -> Cut:
    """What an entry declares; raises :class:`Forged`."""
    try:
        signing.verify(anchors.key().public_key(), entry.payload)
    except (InvalidSignature, ValueError, KeyError, TypeError):
        raise Forged(f"{entry} says that events were taken out, and was not signed by this platform") from None
    try:
        cut = FORM.take(entry.payload)
    except Unreadable as error:
        raise Forged(f"{entry} says that events were taken out, and cannot be read here ({error})") from None
    if cut.tenant_id != entry.tenant_id:
        raise Forged(f"{entry} was signed for tenant {cut.tenant_id}")
    return cut


def latest(tenant_id: str) -> Cut | None:
    """The last cut of a tenant's events; raises :class:`Forged`."""
    entry = AuditEntry.objects.filter(tenant_id=tenant_id, kind=KIND).order_by("-position").first()
    return read(entry) if entry is not None else None


def _oldest(now: datetime | None) -> datetime | None:
    days = settings.ENV.EVENTS_KEPT_DAYS
    return (now or timezone.now()) - timedelta(days=days) if days else None


def _cut(tenant_id: str, oldest: datetime, at_once: int) -> int:
    """One cut: the entry and the deletion, all or nothing."""
    with turn.taken(turn.CHAIN):
        cut = _next(tenant_id, oldest, at_once)
        if cut is None:
            return 0
        chain.append([Draft(KIND, tenant_id=tenant_id, payload=cut.payload())])
        ThrottleEvent.objects.filter(tenant_id=tenant_id, position__lte=cut.last).delete()
        return cut.rows


def _next(tenant_id: str, oldest: datetime, at_once: int | None) -> Cut | None:
    """The oldest events of a chain up to the first that is to be kept; at most ``at_once``."""
    rows = ThrottleEvent.objects.filter(tenant_id=tenant_id, position__isnull=False)
    first = rows.order_by("position").values_list("position", flat=True).first()
    stays = rows.filter(at__gte=oldest).order_by("position").values_list("position", flat=True).first()
    newest, _ = chain.head(ThrottleEvent, tenant_id)
    if first is None:
        return None
    last = min(newest, stays or newest) - 1
    if at_once is not None:
        last = min(last, first + at_once - 1)
    if last < first:
        return None
    data = rows.filter(position__lte=last).aggregate(rows=Count("pk"), refusals=Sum("count"), until=Max("at"))
    head = rows.values_list("hash", flat=True).get(position=last)
    until = data["until"].astimezone(UTC).isoformat()
    return Cut(tenant_id, last, head, rows=data["rows"], refusals=data["refusals"], until=until)
