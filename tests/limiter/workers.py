"""Workers for tests: snapshots that end with the test, edits by somebody else, and what they ask the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from django.db import connections
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
