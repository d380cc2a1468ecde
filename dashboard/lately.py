"""The last quarter of an hour of the watched tenants' demand, in the memory of this worker: whole from the first look.

What the database has is read once for each tenant; after that the store's newest seconds are added once a second. Both
may hold the same second while it moves from one to the other, so that larger numbers win instead of being added.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from limiter.core.store import Store
from limiter.demand import lines, undrained
from limiter.demand.points import Demand
from limiter.demand.recent import KEPT_S, Recent

_FRESH_S = 3
"""Seconds that are read at every look: workers send twice a second."""
_AGAIN_S = 30
"""Every so often the last two minutes are read again, for what came late; and after a time without a look."""
_LATE_S = 120

ReadStored = Callable[[Collection[str], int, int], Awaitable[dict[str, Demand]]]


class Lately:
    """One per worker. ``read_stored``: the demand of tenants from a second until before another, from the database."""

    def __init__(self, store: Store, read_stored: ReadStored) -> None:
        self._store = store
        self._read_stored = read_stored
        self._of: dict[str, Recent] = {}
        self._read_again_at: dict[str, int] = {}
        self._looked_at: dict[str, int] = {}
        self._seen: dict[tuple[str, int], int] = {}
        """(tenant, second) -> bytes of it that were read, so that nothing is read twice."""

    def of(self, tenant_id: str) -> Recent | None:
        """The tenant's last quarter of an hour; None while it is not known."""
        return self._of.get(tenant_id)

    async def look(self, connection: int, tenant_ids: Collection[str], *, now: int) -> None:
        """Read the newest demand of these tenants of a connection; raises StoreError, or as ``read_stored`` does."""
        unseen_s = {name: now - self._looked_at.get(name, 0) for name in tenant_ids}
        held = [name for name, seconds in unseen_s.items() if seconds < _LATE_S]
        new = [name for name, seconds in unseen_s.items() if seconds >= _LATE_S]
        again = [name for name in held if now >= self._read_again_at[name] or unseen_s[name] > _FRESH_S]
        await self._add(connection, held, range(now - _FRESH_S, now + 2))
        if again:
            await self._add(connection, again, range(now - _LATE_S, now - _FRESH_S + 1))
            self._read_again_at |= dict.fromkeys(again, now + _AGAIN_S)
            for name in again:
                self._of[name] = self._of[name].cut(now=now)
            self._seen = {place: size for place, size in self._seen.items() if place[1] > now - KEPT_S}
        if new:
            await self._begin(connection, new, now)
        self._looked_at |= dict.fromkeys(tenant_ids, now)

    async def _begin(self, connection: int, tenant_ids: list[str], now: int) -> None:
        """The store first: a minute that moves to the database meanwhile is then in one of them at least."""
        found = await undrained.read_lines_between(self._store, connection, tenant_ids, now - KEPT_S, now + 2)
        stored = await self._read_stored(tenant_ids, now - KEPT_S, now + 1)
        for name in tenant_ids:
            self._of[name] = Recent.of(stored.get(name, Demand()))
            self._read_again_at[name] = now + _AGAIN_S
        for place in [place for place in self._seen if place[0] in tenant_ids]:
            del self._seen[place]
        self._take(found)

    async def _add(self, connection: int, tenant_ids: Collection[str], seconds: Iterable[int]) -> None:
        if tenant_ids:
            self._take(await undrained.read_lines(self._store, connection, tenant_ids, seconds))

    def _take(self, found: Mapping[tuple[str, int], bytes]) -> None:
        for (tenant_id, second), text in found.items():
            if len(text) > self._seen.get((tenant_id, second), 0):
                self._seen[tenant_id, second] = len(text)
                self._of[tenant_id].take(lines.read(text, second))

    def forget(self, kept: Collection[str]) -> None:
        """Keep only these tenants."""
        for name in [name for name in self._of if name not in kept]:
            del self._of[name], self._read_again_at[name], self._looked_at[name]
        self._seen = {place: size for place, size in self._seen.items() if place[0] in self._of}
