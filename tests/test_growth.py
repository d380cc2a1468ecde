"""Pages, lists and tasks read the same number of rows of the database, however many tenants there are.

Every page, list and periodic task is found by itself. Rows are those that the database hands out, in any query.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection as database
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard import stored
from limiter.models import (
    Alert,
    AlertHook,
    Assignment,
    AuditEntry,
    Incident,
    Override,
    QuotaLimit,
    QuotaPolicy,
    ThrottleEvent,
    UsageMinute,
)
from quota_platform.accounts import sessions
from quota_platform.base import features
from quota_platform.celery import app
from tenants.models import Action, ApiKey, Connection, Tenant

FEW, MANY = 110, 220
"""Both more than a page lists."""
EACH_CHAIN = {"limiter.tasks.anchor_record"}
"""Tasks that write something of every tenant: they may read a row of each, and ask no more often."""
ROOM_ROWS = 3
Cost = tuple[int, int]
"""Queries and rows."""

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(database.vendor != "sqlite", reason="rows are counted where SQLite hands them out"),
]


def grow(start: int, end: int) -> None:
    """As many tenants more, each with a row of everything."""
    now, unit = timezone.now(), Connection.objects.earliest("pk")
    numbers = range(start, end)

    def insert(model: type[Any], make: Callable[[int], Any]) -> list[Any]:
        rows: list[Any] = model._base_manager.bulk_create([make(number) for number in numbers])
        return rows

    tenants = insert(Tenant, lambda n: Tenant(tenant_id=f"t{n:04}", name=f"Tenant {n}", connection=unit))
    of = dict(zip(numbers, tenants, strict=True))
    actions = dict(zip(numbers, insert(Action, lambda n: Action(tenant=of[n], action_id="lookupOrder")), strict=True))
    insert(ApiKey, lambda n: ApiKey(tenant=of[n], name="IVR", prefix=f"k{n:011}", digest="0" * 64))
    plan, _ = QuotaPolicy.objects.get_or_create(name="Plan")  # one: plans are few, and lists of them have a bound
    insert(Assignment, lambda n: Assignment(policy=plan, target="action", action=actions[n]))
    over = {"starts_at": now - timedelta(days=9), "ends_at": now - timedelta(days=8), "reason": "campaign"}
    insert(Override, lambda n: Override(tenant=of[n], action=actions[n], effect="factor", factor=2, **over))
    insert(AlertHook, lambda n: AlertHook(name=f"Hook {n}", tenant=of[n], url="https://hooks.example.com/"))
    limit = {"action_id": "lookupOrder", "limit_name": "minute", "policy_name": "Plan", "policy_version": 1}
    insert(
        Alert,
        lambda n: Alert(at=now, ended_at=now, tenant_id=f"t{n:04}", threshold=80, used=1, effective_limit=1, **limit),
    )
    whole = {"quota": 1, "effective_limit": 1}
    insert(Incident, lambda n: Incident(at=now, last_at=now, ended_at=now, tenant_id=f"t{n:04}", **whole, **limit))
    insert(UsageMinute, lambda n: UsageMinute(tenant_id=f"t{n:04}", action_id="lookupOrder", start=now))
    insert(ThrottleEvent, lambda n: _event(n, now, **whole, **limit))
    insert(
        AuditEntry,
        lambda n: AuditEntry(tenant_id=f"t{n:04}", position=1, kind="note", at=now, payload={}, hash="0" * 64),
    )


def _event(number: int, now: Any, **of_limit: Any) -> ThrottleEvent:
    name = f"d{number}"
    of = {"stream_id": name, "request_id": name, "decision_id": name, "tenant_id": f"t{number:04}", "key_prefix": "k"}
    return ThrottleEvent(at=now, used=1, multiplier=1, cost=1, retry_after_ms=1, **of, **of_limit)


@contextmanager
def counted() -> Iterator[list[int]]:
    """Queries and rows of what happens meanwhile on this thread's connection."""
    cost = [0, 0]

    def query(execute: Any, *arguments: Any) -> Any:
        cost[0] += 1
        return execute(*arguments)

    def row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> tuple[Any, ...]:
        cost[1] += 1
        return values

    database.ensure_connection()
    before, database.connection.row_factory = database.connection.row_factory, row
    try:
        with database.execute_wrapper(query):
            yield cost
    finally:
        database.connection.row_factory = before


def cost_of(act: Callable[[], Any]) -> Cost:
    with counted() as cost:
        act()
    return cost[0], cost[1]


def pages() -> list[str]:
    """The live pages, the admin's first page and its lists, each searched too."""
    live = ["/dashboard/", "/dashboard/tenants/", "/dashboard/tenants/?q=Tenant&sort=-connection&page=2"]
    live += ["/dashboard/tenants/t0001/", "/dashboard/refusals/", "/dashboard/refusals/?tenant=t0001"]
    live += ["/dashboard/incidents/", "/dashboard/incidents/?tenant=t0001", "/dashboard/connections/", "/admin/"]
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    ]
    return [*live, *lists]


def costs_of_pages(client: Client) -> dict[str, Cost]:
    def opened(path: str) -> None:
        assert client.get(path).status_code == 200, path

    return {path: cost_of(lambda path=path: opened(path)) for path in pages()}  # type: ignore[misc]


def costs_of_tasks() -> dict[str, Cost]:
    names = [each.task for feature in features.installed() for each in feature.periodic]
    return {name: cost_of(app.tasks[name]) for name in names}


def grown(few: dict[str, Cost], many: dict[str, Cost], *, room: int = 0) -> dict[str, tuple[Cost, Cost]]:
    """Those that cost more queries or rows than with few tenants; the first time may have filled caches."""
    return {
        name: (few[name], many[name])
        for name in few
        if many[name][0] > few[name][0] or (many[name][1] > few[name][1] + room and name not in EACH_CHAIN)
    }


def test_no_page_and_no_list_reads_more_when_there_are_more_tenants(
    redis_url: str, connection: Connection, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "NOTED_S", math.inf)  # else one page a minute also notes that it was opened
    grow(0, FEW)
    few = costs_of_pages(admin_client)
    grow(FEW, MANY)
    assert grown(few, costs_of_pages(admin_client)) == {}


def test_the_list_of_connections_asks_no_more_often_when_it_has_more_lines(
    redis_url: str, connection: Connection, admin_client: Client
) -> None:
    def opened() -> None:
        page = admin_client.get("/dashboard/connections/").content.decode()
        assert page.count("/limits/pool/") == Connection.objects.count()

    base = QuotaPolicy.objects.create(name="Base")
    shared = {"quota": 100, "window_seconds": 60, "counted_per": "connection", "shared": True}
    QuotaLimit.objects.create(policy=base, name="pool", **shared)
    Assignment.objects.create(policy=base, target="default")
    Tenant.objects.create(tenant_id="t0", name="T0", connection=connection)
    opened()
    few = cost_of(opened)
    for number in range(1, 10):
        unit = Connection.objects.create(name=f"u{number}", is_sandbox=True, base_url="http://127.0.0.1:8801")
        Tenant.objects.create(tenant_id=f"t{number}", name=f"T{number}", connection=unit)
    assert cost_of(opened)[0] == few[0]


def test_no_periodic_task_reads_more_when_more_exists_that_did_not_change(
    redis_url: str, connection: Connection
) -> None:
    app.loader.import_default_modules()
    grow(0, FEW)
    costs_of_tasks()
    few = costs_of_tasks()
    grow(FEW, MANY)
    costs_of_tasks()
    assert grown(few, costs_of_tasks()) == {}


def test_the_database_s_part_of_an_overview_of_every_tenant_does_not_grow(
    redis_url: str, connection: Connection
) -> None:
    shown = [f"t{number:04}" for number in range(100)]
    grow(0, FEW)
    few = cost_of(lambda: stored.read_of_many(shown, of=None))
    grow(FEW, MANY)
    more = cost_of(lambda: stored.read_of_many(shown, of=None))
    # Lists of refusals and alerts have their own bounds, which these few hundred do not reach.
    assert more[0] <= few[0] and more[1] <= few[1] + 2 * stored._MOST
