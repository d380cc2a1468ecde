"""A store that is to be hurt: its limiter, and a look inside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import redis

from limiter.core import keys
from limiter.core.store import Store
from limiter.core.types import Decision
from limiter.stores.errors import StoreError
from limiter.stores.pool import PoolSettings
from tests.limiter.core.given import ACME, call, log, stack, store_at
from tests.patience import eventually

LIMIT = log(10_000)
BOUND = stack(LIMIT)
STEADY = PoolSettings(timeout_ms=20_000, connect_timeout_ms=20_000, probe_ms=20)
"""Waits for a busy machine, and asks again soon after a failure. Nothing in these tests depends on how soon."""
HASTY = replace(STEADY, timeout_ms=500)
"""For replies that never come."""
RESIGNED = replace(HASTY, probe_ms=3_600_000)
"""Never asks again while a test runs."""


@asynccontextmanager
async def opened(url: str, settings: PoolSettings) -> AsyncIterator[Store]:
    """A store that has decided once, so that its script is loaded; nothing is counted."""
    store = store_at(url, settings)
    await call(store, BOUND, 0, peek=True)
    try:
        yield store
    finally:
        await store.close()


def counted(client: redis.Redis) -> int:
    return client.llen(keys.window(LIMIT, ACME))


def times_run(client: redis.Redis, command: str) -> int:
    stats = cast(dict[str, dict[str, int]], client.info("commandstats"))
    return stats.get(f"cmdstat_{command}", {"calls": 0})["calls"]


async def recovered(store: Store) -> Decision:
    """The first decision that can be had again."""

    async def decided() -> Decision | None:
        try:
            return await call(store, BOUND, 0)
        except StoreError:
            return None

    found = await eventually(decided, what="the store to decide again")
    assert found is not None
    return found
