"""Each periodic task once, timed, in a process of its own: prints its time, processor time, queries and rows as JSON.

Before that each runs until it has nothing left to do, and then a few tenants change.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psutil
from django.db import connection
from django.utils import timezone

from limiter.models import Override
from quota_platform.base import features
from quota_platform.celery import app
from tenants.models import Tenant

CHANGED = 10


def main() -> None:
    app.loader.import_default_modules()
    names = [each.task for feature in features.installed() for each in feature.periodic]
    for _ in range(2):
        for name in names:
            app.tasks[name]()
    _change()
    print(json.dumps([_timed(name) for name in names]))


def _change() -> None:
    """An override that starts now, for a few tenants."""
    now = timezone.now()
    for tenant in Tenant.objects.order_by("-pk")[:CHANGED]:
        ends_at = now + timedelta(hours=1)
        Override.objects.create(
            tenant=tenant, effect="factor", factor=2, starts_at=now, ends_at=ends_at, reason="a sale"
        )


def _timed(name: str) -> dict[str, Any]:
    own, started, cpu = psutil.Process(), time.perf_counter(), time.process_time()
    before = own.memory_info().rss
    with _counted() as counted:
        app.tasks[name]()
    return {
        "task": name.rpartition(".")[2],
        "ms": (time.perf_counter() - started) * 1000,
        "cpu_ms": (time.process_time() - cpu) * 1000,
        "queries": counted[0],
        "grew_mb": (own.memory_info().rss - before) / 2**20,
    }


@contextmanager
def _counted() -> Iterator[list[int]]:
    counted = [0]

    def count(execute: Any, *arguments: Any) -> Any:
        counted[0] += 1
        return execute(*arguments)

    with connection.execute_wrapper(count):
        yield counted
