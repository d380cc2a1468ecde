"""The product's client of the shared Redis, as patient as tests are: one that is slow is not unavailable to them."""

from __future__ import annotations

import redis.asyncio

from limiter import clients
from tests.patience import HANG_S


def side() -> redis.asyncio.Redis:
    client = clients.async_client()
    client.connection_pool.connection_kwargs |= {"socket_timeout": HANG_S, "socket_connect_timeout": HANG_S}
    return client
