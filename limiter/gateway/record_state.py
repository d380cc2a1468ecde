"""How far the record is behind, as any worker can tell from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from limiter.core import keys
from limiter.core.store import Store
from limiter.record import runs, state
from limiter.record.state import RecordState

T = TypeVar("T")
_TOGETHER = 10
"""Connections whose commands leave in one write. The store serves no call between these, so they are not more."""


async def of_each(connections: Iterable[int], read: Callable[[int], Awaitable[T]]) -> list[T]:
    """What ``read`` finds of each connection, in their order."""
    wanted, found = list(connections), []
    for start in range(0, len(wanted), _TOGETHER):
        found += await asyncio.gather(*map(read, wanted[start : start + _TOGETHER]))
    return found


async def look(store: Store, *, now: float) -> RecordState:
    """Ask the store; raises :class:`~limiter.stores.errors.StoreError`."""
    data, members = await asyncio.gather(
        store.command("HGETALL", keys.tasks(), key=keys.tasks()),
        store.command("SMEMBERS", keys.connections(), key=keys.connections()),
    )

    async def events(connection: int) -> tuple[int, float]:
        name = keys.events(connection)
        waiting, oldest = await asyncio.gather(
            store.command("XLEN", name, key=name),
            store.command("XRANGE", name, "-", "+", "COUNT", 1, key=name),
        )
        return waiting, state.lag_of(oldest, now=now)

    found = await of_each(keys.connection_ids(members), events)
    waiting, lag_s = sum(each[0] for each in found), max((each[1] for each in found), default=0.0)
    return RecordState(waiting, lag_s, runs.read(dict(zip(data[::2], data[1::2], strict=True))))
