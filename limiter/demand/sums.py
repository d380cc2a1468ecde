"""The calls of all tenants of a connection together, by the second: for pages that cannot read each tenant.

``lua/add.lua`` adds to them with the demand of the tenants, so that each call is in them once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from limiter.core import keys
from limiter.core.store import Store
from limiter.demand.points import Calls
from limiter.demand.state import LATELY_S

KEPT_S = LATELY_S + 300
_ALLOWED, _REFUSED = "a", "r"


def words(calls: Mapping[int, Calls]) -> list[str | int]:
    """The fields of a minute's seconds, each with its number of calls; without zeros."""
    found: list[str | int] = []
    for second, each in calls.items():
        for mark, count in ((_ALLOWED, each.allowed), (_REFUSED, each.refused)):
            if count:
                found += (f"{second}|{mark}", count)
    return found


async def read(store: Store, connection: int, minutes: Iterable[int]) -> dict[int, Calls]:
    """Allowed and refused calls by second in these minutes; raises StoreError."""
    names = [keys.demand_sums(connection, minute) for minute in minutes]
    found = await asyncio.gather(*(store.command("HGETALL", name, key=name) for name in names))
    sums: dict[int, Calls] = {}
    for flat in found:
        for field, count in zip(flat[::2], flat[1::2], strict=True):
            second, _, mark = field.decode().partition("|")
            outcome = {_ALLOWED: "allowed", _REFUSED: "refused"}.get(mark)
            if outcome and second.isdecimal():
                at = int(second)
                sums[at] = sums.get(at, Calls())._replace(**{outcome: int(count)})
    return sums
