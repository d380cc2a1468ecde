"""An empty store, a limiter on it and a plain client to look into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from limiter.core.store import Store
from tests.limiter.core.given import store_at


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    made = store_at(redis_url)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    """What lies in the store."""
    with redis.Redis.from_url(redis_url) as client:
        yield client
