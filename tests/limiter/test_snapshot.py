"""What a worker holds, and how an edit reaches it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
from django.db import connections

from limiter.models import QuotaPolicy
from limiter.snapshot import Snapshot
from tenants.models import Tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
T = TypeVar("T")
NOW = 1_000_000.0


async def aside(call: Callable[[], T]) -> T:
    """What a person does in the admin: in another thread, on another connection to the database."""

    def job() -> T:
        try:
            return call()
        finally:
            connections.close_all()

    return await asyncio.to_thread(job)


@pytest.fixture
async def snapshot() -> AsyncIterator[Snapshot]:
    async with worker() as made:
        yield made


@contextlib.asynccontextmanager
async def worker(capacity: int = 100) -> AsyncIterator[Snapshot]:
    made = Snapshot(capacity=capacity)
    yield made
    await made.close()


async def test_a_tenant_is_loaded_on_first_use_and_then_held(
    snapshot: Snapshot, acme: Tenant, base_policy: QuotaPolicy
) -> None:
    assert snapshot.held_tenant("acme") is None
    entry = await snapshot.tenant("acme")
    assert entry is not None and entry is snapshot.held_tenant("acme")
    assert [(limit.name, limit.quota) for limit in entry.plan("lookupOrder", NOW).limits] == [("minute", 100)]


async def test_an_edited_limit_reaches_every_worker(acme: Tenant, base_policy: QuotaPolicy) -> None:
    async with worker() as one, worker() as other:
        for each in (one, other):
            await each.look()
            assert await each.tenant("acme")
        limit = await aside(base_policy.limits.get)
        limit.quota = 50
        await aside(limit.save)
        for each in (one, other):
            await each.look()
            entry = each.held_tenant("acme")
            assert entry is not None and [x.quota for x in entry.plan("lookupOrder", NOW).limits] == [50]
