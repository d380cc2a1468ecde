"""From throttle events into incidents: each event once, in the order in which events are stored.

Events are stored in one turn (:mod:`limiter.record.chain`), so an event that is seen has no earlier one that is not.
The cursor moves in the transaction that takes the events in: a killed or repeated run adds nothing twice.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from limiter.incidents import stretches
from limiter.incidents.models import EventCursor, Incident
from limiter.incidents.models.incident import QUIET
from limiter.incidents.stretches import Row
from limiter.record import pruning, runs, turn
from limiter.record.models import ThrottleEvent

BATCH = 1_000
TURN = 7_261_102_834_005
"""The turn of those that write incidents (:mod:`limiter.record.turn`)."""
_BUDGET_S = 8.0
_TEAMS = {"id", "acknowledged_at", "acknowledged_by", "owner"}
_CHANGED = [field.name for field in Incident._meta.concrete_fields if field.name not in _TEAMS]


def follow() -> int | None:
    """Take new refusals in and end quiet incidents, unless somebody else is at it: then None. How many changed."""
    return runs.alone("follow_refusals", lambda client: take_new(), at_most_s=60)


def take_new(*, now: datetime | None = None) -> int:
    """The same without the turn. An incident ends only when all refusals are taken in."""
    now, until, changed = now or timezone.now(), time.monotonic() + _BUDGET_S, 0
    while (cursor := _cursor()) < _newest():
        changed += _take_batch(now)
        if time.monotonic() > until and cursor < _newest():
            return changed
    return changed + _end_quiet(now)


def prune(*, now: datetime | None = None) -> int:
    """Delete incidents past their retention; returns how many."""
    days = settings.ENV.INCIDENTS_KEPT_DAYS
    return pruning.delete(Incident, ended_at__lt=(now or timezone.now()) - timedelta(days=days)) if days else 0


def _cursor() -> int:
    return EventCursor.objects.values_list("last_event", flat=True).first() or 0


def _newest() -> int:
    return ThrottleEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _take_batch(now: datetime) -> int:
    with turn.taken(TURN):
        events = list(ThrottleEvent.objects.filter(pk__gt=_cursor()).order_by("pk")[:BATCH])
        if not events:
            return 0
        changed = _take([event for event in events if not event.shadow], now)
        EventCursor.objects.update_or_create(pk=1, defaults={"last_event": events[-1].pk})
    return changed


def _take(events: Sequence[ThrottleEvent], now: datetime) -> int:
    by_row: dict[Row, list[ThrottleEvent]] = defaultdict(list)
    for event in events:
        by_row[stretches.row_of(event)].append(event)
    known = _known(events) if events else {}
    changed = [each for row, of in by_row.items() for each in stretches.take(of, row, known.get(row, ()), now=now)]
    # Those that end make room for those that begin: of a row only one lasts.
    Incident.objects.bulk_update([each for each in changed if each.pk], _CHANGED, batch_size=100)
    Incident.objects.bulk_create([each for each in changed if not each.pk])
    return len(changed)


def _known(events: Sequence[ThrottleEvent]) -> dict[Row, list[Incident]]:
    """The incidents near these events in time, and those that last, of the events' tenants."""
    first, last = min(event.at for event in events), max(event.at for event in events)
    near = Q(last_at__gt=first - QUIET, at__lt=last + QUIET)
    found: dict[Row, list[Incident]] = defaultdict(list)
    tenant_ids = {event.tenant_id for event in events}
    for incident in Incident.objects.filter(near | Q(ended_at=None), tenant_id__in=tenant_ids):
        found[Row(incident.tenant_id, incident.action_id, incident.limit_name)].append(incident)
    return found


def _end_quiet(now: datetime) -> int:
    return Incident.objects.filter(ended_at=None, last_at__lte=now - QUIET).update(ended_at=F("last_at") + QUIET)
