"""Workers for tests: snapshots that end with the test, edits by somebody else, and faults of the database."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import connection, connections
from django.db.backends.signals import connection_created

from limiter.second_level import SecondLevel
from limiter.snapshot import Snapshot, TenantEntry

T = TypeVar("T")
NOW = 1_000_000.0


async def aside(call: Callable[[], T]) -> T:
    """What a person does meanwhile in the admin: in another thread, on another connection to the database."""

    def job() -> T:
        try:
            return call()
        finally:
            connections.close_all()

    return await asyncio.to_thread(job)


@contextlib.asynccontextmanager
async def worker(
    *, capacity: int = 100, second: SecondLevel | None = None, clock: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[Snapshot]:
    """A worker's snapshot. It learns of edits when the test calls ``look()``."""
    made = Snapshot(capacity=capacity, second=second, clock=clock)
    try:
        yield made
    finally:
        await made.close()


def quotas(entry: TenantEntry | None, action_id: str = "lookupOrder", now: float = NOW) -> dict[str, int]:
    """The limits in force for an action, by name."""
    assert entry is not None
    return {limit.name: limit.quota for limit in entry.plan(action_id, now).limits}


class Queries:
    """Counts the statements that all connections execute, those of other threads too."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        self.statements.append(sql)
        return execute(sql, *rest)

    def wrap(self, connection: Any, **_: object) -> None:
        if self not in connection.execute_wrappers:
            connection.execute_wrappers.append(self)


@contextlib.contextmanager
def counted() -> Iterator[Queries]:
    """The statements of connections that are opened inside."""
    queries = Queries()
    connection_created.connect(queries.wrap)
    try:
        yield queries
    finally:
        connection_created.disconnect(queries.wrap)


@contextlib.contextmanager
def database_away() -> Iterator[None]:
    """Inside, nobody can connect to the test's database. Connections that are open stay so."""
    with _postgres_refusing() if connection.vendor == "postgresql" else _sqlite_gone():
        yield


@contextlib.contextmanager
def _postgres_refusing() -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    with psycopg.connect(settings.ENV.DATABASE_URL, autocommit=True) as link:
        link.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
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
