"""How far the record is behind, as any worker can tell from the store."""

from __future__ import annotations

from dataclasses import dataclass, field

from limiter.core import keys
from limiter.core.store import Store
from limiter.record import runs, state
from limiter.record.runs import Run


@dataclass
class RecordState:
    """``waiting``: events that are not in the database yet; ``lag_s``: how long the oldest of them has waited."""

    waiting: int = 0
    lag_s: float = 0.0
    tasks: dict[str, Run] = field(default_factory=dict)

    @property
    def late(self) -> bool:
        return self.lag_s > state.LATE_S


async def look(store: Store, *, now: float) -> RecordState:
    """Ask the store; raises :class:`~limiter.stores.errors.StoreError`."""
    told = await store.command("HGETALL", keys.tasks(), key=keys.tasks())
    seen = RecordState(tasks=runs.read(dict(zip(told[::2], told[1::2], strict=True))))
    for connection in keys.connection_ids(await store.command("SMEMBERS", keys.connections(), key=keys.connections())):
        name = keys.events(connection)
        seen.waiting += await store.command("XLEN", name, key=name)
        oldest = await store.command("XRANGE", name, "-", "+", "COUNT", 1, key=name)
        seen.lag_s = max(seen.lag_s, state.lag_of(oldest, now=now))
    return seen
