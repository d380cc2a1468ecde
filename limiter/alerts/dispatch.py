"""Finding what happened, and putting a message of it for every contact point that wants to know: each event once.

A turn looks at the time since the last one and a little more, for rows of a transaction that took long.
Marks, memory and messages are written in one transaction, and a message has a key that no other has: a killed or
repeated turn puts none twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from limiter.alerts import deliveries
from limiter.alerts.models import AlertDelivery, AlertHook, EventMark, OpenEvent
from limiter.record import runs, turn
from quota_platform.base import features
from quota_platform.base.events import Condition, EventType, Find, Lasting, Occurrence
from tenants.models import Tenant

OVERLAP = timedelta(minutes=5)
"""The longest that an edit may take from its time to its commit."""
TURN = 7_261_102_834_006
"""The turn of those that look (:mod:`limiter.record.turn`)."""
_MARKED_EVERY = timedelta(minutes=1)


def find_events() -> int | None:
    """Put the messages of what happened, unless somebody else is at it: then None. How many."""
    return runs.alone("find_events", lambda client: look(), at_most_s=60)


def look(*, now: datetime | None = None) -> int:
    """The same without the turn. What no contact point wants is not looked for."""
    now = now or timezone.now()
    types = features.event_types()
    wanted = _wanted()
    _forget([name for name in types if name not in wanted])
    return sum(_look(types[name], types, now) for name in types if name in wanted)


def _wanted() -> set[str]:
    """The events that any contact point chose."""
    chosen = AlertHook.objects.filter(enabled=True).order_by().values_list("events", flat=True).distinct()
    return {name for names in chosen for name in names}


def _hooks(type_: EventType) -> list[AlertHook]:
    """The contact points that chose this event: read when there is something to put, since each tenant may have one."""
    rows = AlertHook.objects.filter(enabled=True).select_related("tenant").order_by("pk")
    return [hook for hook in rows if type_.name in hook.events]


def _forget(unwanted: Sequence[str]) -> None:
    for model in (EventMark, OpenEvent):
        rows: Any = model
        if (old := rows.objects.filter(type__in=unwanted)).exists():
            old.delete()


def _look(type_: EventType, types: Mapping[str, EventType], now: datetime) -> int:
    if type_.find is not None:
        return _happened(type_, type_.find, now)
    if type_.lasting is not None:
        end = next((each for each in types.values() if each.ends == type_.name), None)
        return _lasting(type_, type_.lasting, end, now)
    return 0


def _happened(type_: EventType, find: Find, now: datetime) -> int:
    with turn.taken(TURN):
        mark = EventMark.objects.filter(type=type_.name).first()
        since = (mark.at if mark else now) - OVERLAP
        found = {each.key: each for each in find(since, now)}
        known = _known(type_, since) if found else set()
        new = [found[key] for key in found if key not in known]
        put = deliveries.put_events(type_, new, _hooks(type_), now=now) if new else 0
        if mark is None or put or mark.at < now - _MARKED_EVERY:
            EventMark.objects.update_or_create(type=type_.name, defaults={"at": now})
        return put


def _known(type_: EventType, since: datetime) -> set[str]:
    """The keys of events that have a message already."""
    rows = AlertDelivery.objects.filter(event=type_.name, at__gte=since - OVERLAP)
    return set(rows.values_list("key", flat=True))


def _lasting(type_: EventType, lasting: Lasting, end: EventType | None, now: datetime) -> int:
    conditions = lasting.now()
    if conditions is None:
        return 0
    with turn.taken(TURN):
        open_ = {row.key: row for row in OpenEvent.objects.filter(type=type_.name)}
        put = 0
        for each in conditions:
            row = open_.pop(each.key, None) or OpenEvent(type=type_.name, key=each.key, at=now)
            put += _goes_on(type_, lasting, row, each, now)
        return put + sum(_rests(row, lasting, end, now) for row in open_.values())


def _goes_on(type_: EventType, lasting: Lasting, row: OpenEvent, condition: Condition, now: datetime) -> int:
    put, row.last_at = 0, now
    if not row.notified:
        row.data = {**condition.data, "since": row.at.isoformat()}
        if condition.at_once or now - row.at >= lasting.after:
            row.notified = True
            put = deliveries.put_events(type_, [_occurrence(row, now, condition.tenants)], _hooks(type_), now=now)
    row.save()
    return put


def _rests(row: OpenEvent, lasting: Lasting, end: EventType | None, now: datetime) -> int:
    """It was not so at this look. Its end goes to those that got the start and want ends."""
    if now - row.last_at < lasting.quiet:
        return 0
    row.delete()
    if end is None or not row.notified:
        return 0
    got = AlertDelivery.objects.filter(event=row.type, key=_key(row)).values("hook")
    hooks = AlertHook.objects.filter(pk__in=got, enabled=True, tell_ends=True).select_related("tenant")
    row.data["until"] = row.last_at.isoformat()
    return deliveries.put_events(end, [_occurrence(row, now, Tenant.objects.all())], list(hooks), now=now)


def _key(row: OpenEvent) -> str:
    return f"{row.key}@{row.at.isoformat()}"


def _occurrence(row: OpenEvent, now: datetime, tenants: Any) -> Occurrence:
    return Occurrence(key=_key(row), at=now, data=lambda: row.data, tenants=tenants)
