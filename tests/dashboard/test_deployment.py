"""What live pages read of the whole deployment."""

from __future__ import annotations

import time

from dashboard import deployment
from limiter.core import keys
from limiter.core.store import Store
from limiter.gateway import heartbeat
from tests.limiter.core.given import store_at


async def _report(store: Store, name: str, at: float, **tenants: int) -> None:
    beat = heartbeat.FORM.dump({"at": at, "waiting": {"calls": sum(tenants.values()), "tenants": tenants}})
    await store.command("HSET", keys.workers(), name, beat, key=keys.workers())


async def test_calls_that_wait_are_summed_over_the_workers_that_live(redis_url: str) -> None:
    store = store_at(redis_url)
    await store.open()
    now = time.time() + 3600  # on a slow machine too, none of these is gone before it is read
    await _report(store, "one", now, acme=2, globex=1)
    await _report(store, "two", now, acme=3)
    await _report(store, "gone", now - 7200, acme=40)
    found = await deployment.read(store, [])
    await store.close()
    assert found.data([])["calls_waiting"] == {"acme": 5, "globex": 1}
    assert found.workers is not None and found.workers["seen"] == 2
