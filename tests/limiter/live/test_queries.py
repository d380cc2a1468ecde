"""Threads of their own for database queries: which connections stay open, and to which file."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import connection as database
from django.db.backends.base.base import BaseDatabaseWrapper

from limiter.live.queries import Aside
from tenants.models import Tenant
from tests.patience import HANG_S, until

pytestmark = pytest.mark.django_db(transaction=True)


@contextlib.contextmanager
def another_file(here: Path, there: Path, *, edit: str) -> Iterator[None]:
    """A copy of the database, edited, in the place of its file."""
    with contextlib.closing(sqlite3.connect(here)) as source, contextlib.closing(sqlite3.connect(there)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.execute(edit)
        copy.commit()
    files = [path for path in here.parent.glob(f"{here.name}*") if path.is_file()]
    away = there.parent / "away"
    away.mkdir()
    for path in files:
        path.rename(away / path.name)
    there.rename(here)
    try:
        yield
    finally:
        for path in here.parent.glob(f"{here.name}*"):
            path.unlink()
        for path in files:
            (away / path.name).rename(path)


async def test_a_kept_connection_serves_until_another_file_lies_in_the_place_of_its_own(
    acme: Tenant, tmp_path: Path
) -> None:
    if database.vendor != "sqlite":
        pytest.skip("only SQLite's database is a file")
    aside = Aside(1, name="test", keep=True)

    def name() -> str:
        return Tenant.objects.get(tenant_id="acme").name

    def session() -> int:
        return id(database.connection)

    try:
        before, opened = await aside.run(name), await aside.run(session)
        assert await aside.run(session) == opened
        here = Path(database.settings_dict["NAME"])
        with another_file(here, tmp_path / "copy.sqlite3", edit="UPDATE tenants_tenant SET name = 'Other'"):
            assert await aside.run(name) == "Other"
        assert await aside.run(name) == before
    finally:
        await aside.close()


def _opened() -> BaseDatabaseWrapper:
    Tenant.objects.count()
    return connections[DEFAULT_DB_ALIAS]


@pytest.mark.parametrize("keep", [True, False])
async def test_all_threads_end_and_their_connections_are_closed(keep: bool) -> None:
    aside, both_work = Aside(2, name="test-both", keep=keep), threading.Barrier(2)

    def work() -> BaseDatabaseWrapper:
        both_work.wait(HANG_S)
        return _opened()

    opened = await asyncio.gather(aside.run(work), aside.run(work))
    assert opened[0] is not opened[1]
    await aside.close()
    assert [each.connection for each in opened] == [None, None]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-both")]


async def test_a_job_that_its_caller_gave_up_leaves_no_connection_behind() -> None:
    aside, go_on, opened = Aside(1, name="test", keep=True), threading.Event(), []

    def slow() -> None:
        opened.append(_opened())
        go_on.wait(HANG_S)

    job = asyncio.ensure_future(aside.run(slow))
    await asyncio.to_thread(until, lambda: opened, what="the job to begin")
    job.cancel()
    await aside.close()
    assert opened[0].connection is not None
    go_on.set()
    await asyncio.to_thread(until, lambda: opened[0].connection is None, what="its thread to close it")
