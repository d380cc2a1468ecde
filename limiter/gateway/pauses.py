"""An upstream's response about load, on its way to the store, where it binds every worker's next decision."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from limiter.core.pausing import pause
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.gateway.background import Background
from limiter.gateway.paces import Paces
from limiter.stores.errors import StoreError
from tenants.directory import ConnectionSpec

log = logging.getLogger(__name__)
_TURNED_AWAY = 400
"""From this status on; a response below has only spent the last of a limit."""


class Pauses:
    """One per worker and event loop. Of many calls that are turned away at once the first tells the store."""

    def __init__(self, store: Store, paces: Paces | None = None) -> None:
        self._store = store
        self._paces = paces
        self._pausing: dict[int, asyncio.Future[int | None]] = {}
        self._running = Background()

    def note(
        self, connection: ConnectionSpec, status: int, wait_s: float | None, took_us: int | None = None
    ) -> Awaitable[int | None] | None:
        """An attempt got this status and this wait, or none.

        ``took_us``: how long the first attempt of a call was under way; None for another attempt. Returns how long
        calls are paused from then on (us), once the store has it; None if it is unavailable. None at once if nothing
        pauses.
        """
        paces = self._paces if status >= _TURNED_AWAY and connection.pace else None
        first = connection.pause_on_pushback and connection.id not in self._pausing
        if first:
            self._pausing[connection.id] = asyncio.get_running_loop().create_future()
        lasting = self._pausing.get(connection.id)
        if paces is not None or first:
            learned = paces.pushed_back(connection, wait_s=wait_s, took_us=took_us) if paces is not None else None
            self._running.start(self._report(connection, status, wait_s, learned=learned, pauses=first))
        return None if lasting is None else asyncio.shield(lasting)

    async def drain(self) -> None:
        """Wait until the store has it."""
        await self._running.drain()

    async def _report(
        self,
        connection: ConnectionSpec,
        status: int,
        wait_s: float | None,
        *,
        learned: Awaitable[None] | None,
        pauses: bool,
    ) -> None:
        """The pace first: calls that ran since the last pause make the next one short."""
        lasts_us: int | None = None
        try:
            if learned is not None:
                await learned
            if pauses:
                said_us = None if wait_s is None else int(wait_s * MICROS)
                max_us = connection.max_pause_s * MICROS
                lasts_us = await pause(self._store, connection.id, status=status, said_us=said_us, max_us=max_us)
        except StoreError:
            log.debug("a pause of connection %d was not noted", connection.id)
        finally:
            if pauses:
                self._pausing.pop(connection.id).set_result(lasts_us)
