"""Takes the database away from a running test, really: a plugin, named in `pytest_plugins` of the files that use it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection


@pytest.fixture
def database_away(transactional_db: None) -> Callable[[], AbstractContextManager[None]]:
    """A context inside which nobody reaches the test's database, but for the connection that the test itself has."""
    if connection.vendor != "postgresql":
        return _sqlite_gone
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        own = cursor.fetchone()[0]
    return lambda: _postgres_refusing(but_for=own)


@contextlib.contextmanager
def _postgres_refusing(*, but_for: int) -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    with psycopg.connect(settings.ENV.DATABASE_URL, autocommit=True) as link:
        link.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"
        link.execute(others, [name, but_for])
        try:
            yield
        finally:
            link.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@contextlib.contextmanager
def _sqlite_gone() -> Iterator[None]:
    """The file stands aside, and a directory in its place can neither be opened nor overwritten as a database."""
    here = Path(connection.settings_dict["NAME"])
    files = [path for path in here.parent.glob(f"{here.name}*") if path.is_file()]
    there = here.parent / "away"
    there.mkdir()
    for path in files:
        path.rename(there / path.name)
    here.mkdir()
    try:
        yield
    finally:
        here.rmdir()
        for path in files:
            (there / path.name).rename(path)
        shutil.rmtree(there)
