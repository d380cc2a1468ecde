"""The pace of a connection on its page: the learned pace, and a button that keeps it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from limiter import clients
from limiter.core import keys
from limiter.core.pacing import NOTED, Pace, pace_or_none
from limiter.core.types import MICROS
from quota_platform.base.admin.panels import AdminPage
from quota_platform.base.kept import kept_text
from quota_platform.base.languages import number
from tenants.models import Connection

_PINNED = kept_text("Pinned the learned pace")


def shown(connection: Connection) -> dict[str, Any] | None:
    """What the panel shows; None without a pace. Raises RedisError."""
    if connection.pace == Connection.Pace.OFF:
        return None
    pace = _read(connection)
    found: dict[str, Any] = {"fixed": connection.pace == Connection.Pace.FIXED, "calls": None}
    if found["fixed"]:
        return found | {"calls": number(connection.pace_per_minute or 0)}
    if pace is None:
        return found
    return found | {
        "calls": number(round(pace.per_minute)),
        "at": _time(pace.found_us),
        "probed": _time(pace.probed_us),
    }


def _time(at_us: int) -> datetime | None:
    return datetime.fromtimestamp(at_us / MICROS, UTC) if at_us else None


def _read(connection: Connection) -> Pace | None:
    with closing(clients.client()) as store:
        return pace_or_none(store.get(keys.pace(connection.pk)), store.hmget(keys.pace_evidence(connection.pk), NOTED))


def _pin(request: HttpRequest, connection: Connection) -> HttpResponse:
    """Hold the learned pace from now on, whatever the upstream does. Only on POST."""
    page = HttpResponseRedirect(reverse("admin:tenants_connection_change", args=[connection.pk]))
    if request.method != "POST":
        return page
    try:
        pace = _read(connection)
    except RedisError:
        pace = None
    if pace is None:
        messages.error(request, _("No pace is known now; nothing was changed."))
        return page
    connection.pace, connection.pace_per_minute = Connection.Pace.FIXED.value, max(1, round(pace.per_minute))
    connection._change_reason = _PINNED  # type: ignore[attr-defined]
    connection.save()
    return page


PIN = AdminPage(path="pin-pace", name="pin_pace", permission="change", response=_pin, edits=True)
