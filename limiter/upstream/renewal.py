"""Renews shared access tokens before the first call would have to wait for it; Celery beat asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from django.conf import settings

from limiter import clients
from limiter.upstream.clock import Clock
from limiter.upstream.pins import Pins
from limiter.upstream.tokens import ThreadedMint, TokenCache
from limiter.upstream.vault import Vault, fingerprint
from tenants.directory import ConnectionSpec
from tenants.models import Connection
from tenants.spec_rows import connection_spec

EVERY_S = 15.0
"""How often beat is expected to come by."""
_AT_ONCE = 8


def refresh_due() -> int:
    """Renew the tokens that will be due before the next visit or two; how many were. Blocks; raises RedisError."""
    connections = [connection_spec(row) for row in Connection.objects.filter(enabled=True)]
    return asyncio.run(_refresh(connections)) if connections else 0


async def _refresh(connections: Sequence[ConnectionSpec]) -> int:
    clock = Clock()
    client = clients.async_client()
    mint = ThreadedMint(pinned=Pins(sandbox_hosts=settings.ENV.SANDBOX_HOSTS), clock=clock)
    tokens = TokenCache(vault=Vault(client), mint=mint, clock=clock)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def refresh(connection: ConnectionSpec) -> bool:
        async with gate:
            return await tokens.renew_if_due(connection, fingerprint(connection), ahead_s=2 * EVERY_S)

    try:
        return sum(await asyncio.gather(*map(refresh, connections)))
    finally:
        mint.close()
        await client.aclose()
