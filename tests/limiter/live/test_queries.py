"""Threads of their own for database queries: which connections stay open, and to which file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection as database

from limiter.live.queries import Aside
from tenants.models import Tenant

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
