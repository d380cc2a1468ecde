"""On a connection's page: whether it can be used, why not, and a test that tries it step by step."""

from __future__ import annotations

import math
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from limiter import clients
from limiter.core import in_flight as learned
from limiter.core import keys
from limiter.core.pausing import pause_or_none
from limiter.core.types import MICROS
from limiter.gateway import heartbeat
from limiter.gateway.admin import pace
from limiter.policies import pools
from limiter.record.held_back import held_back
from limiter.record.limit_names import limit_in_words
from limiter.upstream import health
from limiter.upstream.probe import test_connection
from quota_platform.base.admin.panels import AdminPage, Panel, add_page, add_panel
from quota_platform.base.kept import in_words
from tenants import completeness
from tenants.models import Connection


def register() -> None:
    """Called once, when the admin's modules are imported."""
    add_panel(Connection, Panel(template="limiter/connection_state.html", fill=_fill))
    add_page(Connection, AdminPage(path="test", name="test", permission="change", response=_test))
    add_page(Connection, pace.PIN)


def _fill(request: HttpRequest, connection: Connection) -> dict[str, Any]:
    return {**_state(connection), "shared": [(name, limit_in_words(name)) for name in pools.names(connection.pk)]}


def _state(connection: Connection) -> dict[str, Any]:
    if missing := completeness.missing_secrets(connection):
        return {"state": "incomplete", "missing": completeness.named(missing)}
    uid = str(connection.uid)
    try:
        with clients.shared_client() as client:
            fault = health.read(client, [uid]).get(uid)
        without_keep_alive = _without_keep_alive(uid)
        paused = _paused(connection)
        in_flight = _in_flight(connection)
        paced = pace.shown(connection)
    except RedisError:
        return {"state": "unknown"}
    data = {"without_keep_alive": without_keep_alive, "paused": paused, "in_flight": in_flight, "pace": paced}
    if fault is None:
        return data | {"state": "usable"}
    since = datetime.fromtimestamp(fault.since, UTC)
    return data | {"state": "faulty", "fault": fault, "reason": in_words(fault.reason), "since": since}


def _paused(connection: Connection) -> dict[str, Any] | None:
    """Until when its calls are held back and why, and how many were in the last minute; None while none is."""
    now = time.time()
    with closing(clients.client()) as store:
        pause = pause_or_none(store.get(keys.pause(connection.pk)), now_us=int(now * MICROS))
    if pause is None:
        return None
    return {
        "until": datetime.fromtimestamp(pause.until_us / MICROS, UTC),
        "status": pause.status,
        "asked_s": None if pause.asked_us is None else math.ceil(pause.asked_us / MICROS),
        "calls": held_back(connection.pk, since=datetime.fromtimestamp(now - 60, UTC)),
    }


def _in_flight(connection: Connection) -> dict[str, Any] | None:
    """Its findings on the calls in flight lately; None when it does not learn, or nobody has called."""
    if not connection.learns_in_flight:
        return None
    with closing(clients.client()) as store:
        state = learned.state_or_none(store.get(keys.in_flight(connection.pk)))
    if state is None:
        return {"mode": ""}
    found = learned.facts(state)
    return found | {"next_trial": datetime.fromtimestamp(found["next_trial"], UTC)}


def _without_keep_alive(uid: str) -> dict[str, Any] | None:
    """How many web processes use it without keep-alive, until when and why; None when none does."""
    with closing(clients.client()) as store:
        beats = heartbeat.read(store)
    units = [beat["upstream"][uid] for beat in beats if uid in beat["upstream"]]
    now = time.time()
    wary = [unit for unit in units if unit["without_keep_alive_until"] > now]
    if not wary:
        return None
    last = max(wary, key=lambda unit: float(unit["without_keep_alive_until"]))
    until = datetime.fromtimestamp(last["without_keep_alive_until"], UTC)
    return {"workers": len(wary), "of": len(beats), "until": until, "why": in_words(last["without_keep_alive_why"])}


def _test(request: HttpRequest, connection: Connection) -> HttpResponse:
    """Try the saved connection and show every step. Only on POST: a test asks the upstream for a token."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("admin:tenants_connection_change", args=[connection.pk]))
    steps = test_connection(connection)
    context = {
        **admin.site.each_context(request),
        "title": _("Test of {connection}").format(connection=connection),
        "opts": Connection._meta,
        "original": connection,
        "steps": steps,
        "works": all(step.ok for step in steps),
    }
    return TemplateResponse(request, "limiter/connection_test.html", context)
