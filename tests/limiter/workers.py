"""Workers for tests: snapshots that end with the test, edits by somebody else, and their database queries."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from weakref import WeakSet

from django.db import connections
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from limiter.live.shared_cache import SecondLevel
from limiter.live.snapshot import Snapshot, TenantEntry

T = TypeVar("T")
NOW = 1_000_000.0

_opened: WeakSet[Any] = WeakSet()
"""Connections of all threads: a worker keeps some open."""


@receiver(connection_created)
def _remember(connection: Any, **_: object) -> None:
    _opened.add(connection)


async def aside(call: Callable[[], T]) -> T:
    """What a person does meanwhile in the admin: in another thread, on another connection to the database."""

    return await asyncio.to_thread(_and_leave, call)


def _and_leave(call: Callable[[], T]) -> T:
    try:
        return call()
    finally:
        connections.close_all()


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

    def leave(self, connection: Any) -> None:
        if self in connection.execute_wrappers:
            connection.execute_wrappers.remove(self)


class Meanwhile(Queries):
    """Does something else, on another connection, right after the first statement that reads a table."""

    def __init__(self, table: str, call: Callable[[], object]) -> None:
        super().__init__()
        self._table = table
        self._call: Callable[[], object] | None = call

    def __call__(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        outcome = super().__call__(execute, sql, *rest)
        if self._call is not None and f'FROM "{self._table}"' in sql:
            call, self._call = self._call, None
            with ThreadPoolExecutor(1) as other:
                other.submit(_and_leave, call).result()
        return outcome


@contextlib.contextmanager
def counted(queries: Queries | None = None) -> Iterator[Queries]:
    """The statements of all connections, those that are kept open and those that are opened inside."""
    queries = queries or Queries()
    for connection in list(_opened):
        queries.wrap(connection)
    connection_created.connect(queries.wrap)
    try:
        yield queries
    finally:
        connection_created.disconnect(queries.wrap)
        for connection in list(_opened):
            queries.leave(connection)
