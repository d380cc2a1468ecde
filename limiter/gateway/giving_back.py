"""Units of calls that certainly did not run, on their way back to the store. Nobody waits for it.

What the store cannot take now is kept, bounded, and sent again when it is back: it takes each charge back once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from limiter.core.giving_back import MAX_CHARGES, Charge, give_back
from limiter.core.store import Store
from limiter.core.window import Stack
from limiter.stores.errors import StoreError

_KEPT = 20_000
log = logging.getLogger(__name__)


class GivingBack:
    """Sends charges back in the background. One per worker and event loop."""

    def __init__(self, store: Store, *, again_s: float = 1.0) -> None:
        self._store = store
        self._again_s = again_s
        self._charges: dict[int, tuple[Stack, list[Charge]]] = {}
        self._waiting = 0
        self._sending: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._lost = 0
        self.freed: Callable[[Sequence[str]], None] = lambda names: None
        """Called with the keys of the limits that have their units again."""

    def give_back(self, stack: Stack, charge: Charge) -> None:
        """Note a charge, without waiting."""
        if self._waiting >= _KEPT:
            self._lost += 1
            return
        self._charges.setdefault(id(stack), (stack, []))[1].append(charge)
        self._waiting += 1
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def close(self) -> None:
        """Send the rest once more, and stop."""
        self._stopped.set()
        if self._sending is not None:
            await self._sending
        if missing := self._waiting + self._lost:
            log.warning("the units of %d calls were not given back: the store is unavailable", missing)

    async def drain(self) -> None:
        """Wait until the store has everything."""
        while self._sending is not None:
            await asyncio.shield(self._sending)

    async def _send(self) -> None:
        try:
            while self._charges:
                name, (stack, charges) = next(iter(self._charges.items()))
                part = charges[:MAX_CHARGES]
                try:
                    await give_back(self._store, stack, part)
                except StoreError:
                    if self._stopped.is_set():
                        return
                    await self._pause()
                    continue
                self.freed(stack.windows)
                del charges[: len(part)]
                self._waiting -= len(part)
                if not charges:
                    del self._charges[name]
        finally:
            self._sending = None

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopped.wait(), self._again_s)
        except TimeoutError:
            return
