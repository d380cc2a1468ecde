"""The paces that tenants of a connection share, as limits whose units are calls of a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from dashboard.readings import READ_EVERY_S, Shared
from limiter.core import accounts, keys
from limiter.core.accounts import Account
from limiter.core.pacing import pace_or_none
from limiter.core.store import Store
from limiter.core.types import MICROS, LimitState, ShareState
from limiter.stores.errors import StoreError

_KEPT_S = 10.0


class PaceUse(NamedTuple):
    """The calls a minute in force, and the accounts of all tenants in it, in calls of the last minute."""

    per_minute: int
    accounts: list[Account]

    def beside(self, own: ShareState) -> Shared:
        """One tenant's part, and the whole."""
        used = sum(each.used for each in self.accounts)
        return Shared(own, LimitState(own.limit, used, self.per_minute, 0, 0))


async def read(store: Store, connection: int) -> PaceUse | None:
    """None while no pace is held; raises StoreError."""
    name = keys.pace(connection)
    pace = pace_or_none(await store.command("GET", name, key=name), (None, None))
    if pace is None:
        return None
    found = await accounts.read_pace(store, connection, interval_us=60 * MICROS / pace.per_minute)
    return PaceUse(max(1, round(pace.per_minute)), found)


class SharedPaces:
    """One per worker: each connection is read once a second for all pages that show it."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._held: dict[int, tuple[float, PaceUse | None]] = {}

    async def read(self, connection: int) -> PaceUse | None:
        """As it is now. None while no pace is held, and while the store is unavailable, which pages say anyway."""
        now = self._clock()
        at, use = self._held.get(connection, (float("-inf"), None))
        if now - at < READ_EVERY_S:
            return use
        try:
            use = await read(self._store, connection)
        except StoreError:
            use = None
        self._held = {of: each for of, each in self._held.items() if now - each[0] < _KEPT_S}
        self._held[connection] = now, use
        return use
