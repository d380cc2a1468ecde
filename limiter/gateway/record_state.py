"""How far the record is behind, as any worker can tell from the store."""

from __future__ import annotations

from limiter.core import keys
from limiter.core.store import Store
from limiter.record import runs, state
from limiter.record.state import RecordState


async def look(store: Store, *, now: float) -> RecordState:
    """Ask the store; raises :class:`~limiter.stores.errors.StoreError`."""
    data = await store.command("HGETALL", keys.tasks(), key=keys.tasks())
    waiting, lag_s = 0, 0.0
    for connection in keys.connection_ids(await store.command("SMEMBERS", keys.connections(), key=keys.connections())):
        name = keys.events(connection)
        waiting += await store.command("XLEN", name, key=name)
        oldest = await store.command("XRANGE", name, "-", "+", "COUNT", 1, key=name)
        lag_s = max(lag_s, state.lag_of(oldest, now=now))
    return RecordState(waiting, lag_s, runs.read(dict(zip(data[::2], data[1::2], strict=True))))
