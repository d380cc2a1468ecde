"""On PostgreSQL many edits run at once: their changes become visible in the order of their ids.

Not collected on SQLite, which has one writer at a time; `make test-postgres` runs it.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection as database
from django.db import connections, transaction

from quota_platform.base import changes
from tenants.models import Change, Tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]


def _rename(tenant_id: str, name: str) -> None:
    try:
        row = Tenant.objects.get(tenant_id=tenant_id)
        row.name = name
        row.save()
    finally:
        connections.close_all()


def _visible() -> list[int]:
    try:
        return list(Change.objects.order_by("id").values_list("id", flat=True))
    finally:
        connections.close_all()


def _wait_for_a_waiter(edit: Future[None]) -> None:
    """Return once somebody queues for the turn; fails when the edit ends instead."""
    while not edit.done():
        with database.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("the second edit did not wait for the first")


def test_an_edit_waits_for_the_one_that_took_its_number_before(acme: Tenant, globex: Tenant) -> None:
    start = changes.latest_id()
    with ThreadPoolExecutor(2) as others:
        with transaction.atomic():
            acme.save()
            edit = others.submit(_rename, "globex", "Globex Ltd")
            _wait_for_a_waiter(edit)
            assert others.submit(_visible).result()[-1] == start
        edit.result()
    assert [row.entity_id for row in changes.since(start)] == [acme.pk, globex.pk]


def test_a_reader_that_asks_for_greater_ids_misses_none(acme: Tenant, globex: Tenant) -> None:
    start = seen = changes.latest_id()
    read: list[int] = []
    with ThreadPoolExecutor(4) as others:
        names = [tenant_id for _ in range(50) for tenant_id in ("acme", "globex")]
        edits = [others.submit(_rename, tenant_id, f"name {n}") for n, tenant_id in enumerate(names)]
        while not all(edit.done() for edit in edits):
            read += (new := [row.pk for row in changes.since(seen)])
            seen = new[-1] if new else seen
    read += [row.pk for row in changes.since(seen)]
    for edit in edits:
        edit.result()
    assert read == [row.pk for row in changes.since(start)] and len(read) == 100
