"""The list of connections: whether each can be used, who calls through it, and the limits that its tenants share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from limiter import clients
from limiter.core import keys
from limiter.core.pausing import Pause, pause_or_none
from limiter.core.types import MICROS
from limiter.policies import pools
from limiter.record.limit_names import limit_in_words
from limiter.upstream import health
from limiter.upstream.health import ConnectionFault
from quota_platform.base.kept import in_words
from tenants.models import Connection, Tenant

PAGE_SIZE = 25
_NAMED = 3


class ConnectionLine(NamedTuple):
    """``state``: ok, stop or unknown. ``tenants``: the first of the person's; ``more``: how many follow.

    ``shared``: the limits that tenants share, by name and in words.
    """

    connection: Connection
    state: str
    word: str
    reason: str
    tenants: Sequence[Tenant]
    more: int
    shared: Sequence[tuple[str, str]]


def page(asked: Mapping[str, str], seen: QuerySet[Tenant]) -> Page[ConnectionLine]:
    """A page of the connections of these tenants, by name."""
    rows = Connection.objects.filter(pk__in=seen.values("connection")).order_by("name")
    found: Page[Any] = Paginator(rows, PAGE_SIZE).get_page(asked.get("page"))
    found.object_list = _lines(list(found.object_list), seen)
    return found


def _lines(rows: Sequence[Connection], seen: QuerySet[Tenant]) -> list[ConnectionLine]:
    numbers = [row.pk for row in rows]
    faults, pauses = _faults(rows), _pauses(rows)
    counted = seen.filter(connection__in=numbers).order_by().values_list("connection")
    counts = dict(counted.annotate(count=Count("pk")))
    firsts, names = _firsts(numbers, seen), pools.names_of(numbers)
    lines = []
    for row in rows:
        first = firsts[row.pk]
        named = [(name, limit_in_words(name)) for name in names[row.pk]]
        lines.append(
            ConnectionLine(row, *_state(row, faults, pauses.get(row.pk)), first, counts[row.pk] - len(first), named)
        )
    return lines


def _firsts(connections: Sequence[int], seen: QuerySet[Tenant]) -> dict[int, list[Tenant]]:
    """The first tenants of each, by name."""
    of_each = seen.filter(connection=OuterRef("pk")).order_by("name", "tenant_id").values("pk")
    places = [Subquery(of_each[at : at + 1]) for at in range(_NAMED)]
    found = {pk: first for pk, *first in Connection.objects.filter(pk__in=connections).values_list("pk", *places)}
    rows = Tenant.objects.in_bulk({pk for first in found.values() for pk in first if pk is not None})
    return {connection: [rows[pk] for pk in first if pk in rows] for connection, first in found.items()}


def _state(row: Connection, faults: Mapping[str, ConnectionFault] | None, pause: Pause | None) -> tuple[str, str, str]:
    if not row.enabled:
        return "unknown", _("Switched off"), ""
    if faults is None:
        return "unknown", _("No data"), ""
    if fault := faults.get(str(row.uid)):
        return "stop", _("Cannot be used"), in_words(fault.reason)
    if pause is not None:
        until = datetime.fromtimestamp(pause.until_us / MICROS, UTC)
        return "stop", _("Held back"), _("until {time} UTC").format(time=f"{until:%H:%M:%S}")
    return "ok", _("Can be used"), ""


def _faults(rows: Sequence[Connection]) -> dict[str, ConnectionFault] | None:
    """As the workers that use them found them; None while nobody can tell."""
    try:
        with clients.shared_client() as client:
            return health.read(client, [str(row.uid) for row in rows])
    except (RedisError, OSError):
        return None


def _pauses(rows: Sequence[Connection]) -> dict[int, Pause]:
    """Those whose upstream takes no calls now, by ID; none while nobody can tell. One round trip."""
    try:
        with closing(clients.client()) as store, store.pipeline(transaction=False) as pipe:
            for row in rows:
                pipe.get(keys.pause(row.pk))
            stored = pipe.execute()
    except (RedisError, OSError):
        return {}
    now_us = int(time.time() * MICROS)
    found = {row.pk: pause_or_none(raw, now_us=now_us) for row, raw in zip(rows, stored, strict=True)}
    return {connection: pause for connection, pause in found.items() if pause is not None}
