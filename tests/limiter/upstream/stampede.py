"""A worker of its own for the stampede test: once started it makes many calls at once and reports how they went."""

from __future__ import annotations

import asyncio
import json
import sys

import django
import redis.asyncio


async def _run(order: dict[str, str]) -> None:
    # Django has to be set up before the models behind these are loaded.
    from limiter.live import entry_format
    from limiter.upstream.call import UpstreamCall
    from limiter.upstream.client import Client

    tenant = entry_format.tenant(json.loads(order["tenant"]))
    store = redis.asyncio.Redis.from_url(order["redis_url"])
    client = Client(redis=store, pool_size=300, sandbox_hosts=[order["address"]])
    await store.ping()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    call = UpstreamCall(tenant.connection, tenant.actions["lookupOrder"], tenant.tenant_id, "req-1", b"{}")
    responses = await asyncio.gather(*(client.invoke(call) for _ in range(int(order["calls"]))))
    print(json.dumps([response.status for response in responses]), flush=True)
    await client.close()
    await store.aclose()


if __name__ == "__main__":
    django.setup()
    asyncio.run(_run(json.loads(sys.stdin.readline())))
