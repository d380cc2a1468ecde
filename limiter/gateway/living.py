"""How many web processes live, also while this release is rolled out over the first one.

Each process that decides enters itself into the set of the living. Those of the first release do not: they only tell
how they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from limiter.core import keys
from limiter.core.peers import GONE_AFTER_S
from limiter.core.store import Store

_AGAIN_AFTER = 60
"""Beats after which a process that was silent is looked at again."""


class Living:
    """One process's count. ``read``: a heartbeat, or None for a text that is none."""

    def __init__(self, store: Store, *, read: Callable[[bytes | None], Mapping[str, Any] | None]) -> None:
        self._store = store
        self._read = read
        self._silent: set[bytes] = set()
        self._beats = 0

    async def count(self, process: str) -> int:
        """Note that this process lives; how many do. Raises :class:`~limiter.stores.errors.StoreError`."""
        await self._store.alive(process)
        data = await self._store.command("HKEYS", keys.workers(), key=keys.workers())
        entered = await self._store.command("ZRANGE", keys.alive(), 0, -1, key=keys.alive())
        return len(entered) + await self._others({*data} - {*entered})

    async def _others(self, names: set[bytes]) -> int:
        """Those among them that were heard lately. The rest is not asked for at every beat: it was killed, or is there
        for pages and decides nothing."""
        self._beats += 1
        self._silent = set() if self._beats % _AGAIN_AFTER == 0 else self._silent & names
        asked = names - self._silent
        if not asked:
            return 0
        values = await self._store.command("HMGET", keys.workers(), *asked, key=keys.workers())
        oldest = time.time() - GONE_AFTER_S
        for name, beat in zip(asked, map(self._read, values), strict=True):
            if beat is None or beat["at"] <= oldest or not beat["decides"]:
                self._silent.add(name)
        return len(asked - self._silent)
