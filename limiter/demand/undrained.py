"""Demand that waits in the store for the database: the last minute or two, for pages that show it by the second."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping

from limiter.core import keys
from limiter.core.store import Store
from limiter.demand import lines
from limiter.demand.points import Demand

_FIELDS = 2_000
"""Fields in one command; more are asked for in several."""


async def minutes(store: Store, connection: int) -> list[int]:
    """The minutes whose demand is not in the database yet; raises StoreError."""
    name = keys.demand(connection)
    return sorted(map(int, await store.command("ZRANGE", name, 0, -1, key=name)))


async def read(store: Store, connection: int, tenant_ids: Collection[str], seconds: Iterable[int]) -> dict[str, Demand]:
    """The demand of these tenants of a connection that the store holds of these seconds; raises StoreError."""
    return joined(await read_lines(store, connection, tenant_ids, seconds))


def joined(found: Mapping[tuple[str, int], bytes]) -> dict[str, Demand]:
    """Lines by tenant and second as the demand of each tenant."""
    demands: dict[str, Demand] = {}
    for (tenant_id, second), text in found.items():
        demands.setdefault(tenant_id, Demand()).add(lines.read(text, second))
    return demands


async def read_lines_between(
    store: Store, connection: int, tenant_ids: Collection[str], start: int, end: int
) -> dict[tuple[str, int], bytes]:
    """All lines of these tenants that the store holds, from second ``start`` until before ``end``."""
    waiting = await minutes(store, connection)
    seconds = [s for minute in waiting for s in range(minute * 60, minute * 60 + 60) if start <= s < end]
    return await read_lines(store, connection, tenant_ids, seconds)


async def read_lines(
    store: Store, connection: int, tenant_ids: Collection[str], seconds: Iterable[int]
) -> dict[tuple[str, int], bytes]:
    """The same as workers wrote it. A minute that is being stored is read where it is set aside."""
    wanted: dict[int, list[tuple[int, str]]] = {}
    for second in seconds:
        wanted.setdefault(second // 60, []).extend((second, tenant_id) for tenant_id in tenant_ids)
    asked = [
        (name, fields[at : at + _FIELDS])
        for minute, fields in wanted.items()
        for name in _places(connection, minute)
        for at in range(0, len(fields), _FIELDS)
    ]
    parts = await asyncio.gather(*(_read(store, name, fields) for name, fields in asked))
    found: dict[tuple[str, int], bytes] = {}
    for place, text in (each for part in parts for each in part):
        found[place] = found[place] + b"\n" + text if place in found else text
    return found


def _places(connection: int, minute: int) -> tuple[str, str]:
    name = keys.demand_of(connection, minute)
    return name, keys.taken(name)


async def _read(store: Store, name: str, fields: list[tuple[int, str]]) -> list[tuple[tuple[str, int], bytes]]:
    found = await store.command("HMGET", name, *(lines.field(*each) for each in fields), key=name)
    return [
        ((tenant_id, second), text) for (second, tenant_id), text in zip(fields, found, strict=True) if text is not None
    ]
