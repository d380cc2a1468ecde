"""Periodic tasks that fail or stand still, and a record that is late."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from limiter import clients
from limiter.record import state
from limiter.record.runs import Run
from quota_platform.base import features, row_access
from quota_platform.base.attention import Notice
from quota_platform.base.features import Periodic
from quota_platform.base.languages import number

_MISSED = 5
_MIN_SILENT_S = 120.0
"""A task that is due every second may be slow for a while."""


def notices(person: Any) -> Iterator[Notice]:
    """For those who see every tenant: the tasks are the platform's."""
    if not row_access.sees_every_tenant(person):
        return
    may_read = person.has_perm("limiter.view_throttleevent")
    url = reverse("admin:limiter_throttleevent_changelist" if may_read else "dashboard:overview")
    try:
        with closing(clients.client()) as client:
            seen = state.behind(client)
    except (RedisError, OSError):
        yield Notice(_("The limiter's store does not respond."), reverse("dashboard:overview"), urgent=True)
        return
    if seen.late:
        said = _("{count} refusals wait to be stored, the oldest for {seconds} s.")
        yield Notice(said.format(count=number(seen.waiting), seconds=number(round(seen.lag_s))), url, urgent=True)
    if not seen.tasks:
        yield Notice(_("No periodic task has run yet. Are a Celery worker and beat running?"), url, urgent=True)
    due = {each.task.rpartition(".")[2]: each for feature in features.installed() for each in feature.periodic}
    for name, run in seen.tasks.items():
        if name in due and (text := _fault(due[name], run, now=time.time())):
            yield Notice(text, url, urgent=True)


def _fault(task: Periodic, run: Run, *, now: float) -> str:
    silent_s = now - run.at
    if silent_s > max(_MIN_SILENT_S, _MISSED * task.every_s):
        said = _("The task '{name}' has not run for {seconds} s; it is due every {every} s. Is Celery running?")
        return said.format(name=task.name, seconds=number(round(silent_s)), every=number(task.every_s))
    return "" if run.ok else _("The task '{name}' failed last: {error}").format(name=task.name, error=run.error)
