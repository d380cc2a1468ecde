"""An empty store and a client on it, as the periodic tasks have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from limiter import clients
from limiter.record.scripts import Client


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    made = clients.client()
    yield made
    made.close()
