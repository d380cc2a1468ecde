"""What an upstream said about load, on its way to the store, where it binds every worker's next decision."""

from __future__ import annotations

import asyncio
import logging

from limiter.core.pausing import pause
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.stores.errors import StoreError
from tenants.directory import ConnectionSpec

log = logging.getLogger(__name__)


class Pauses:
    """One per worker and event loop. Of many calls that are turned away at once the first tells the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reporting: dict[int, asyncio.Task[None]] = {}

    def note(self, connection: ConnectionSpec, status: int, wait_s: float | None) -> None:
        """An attempt was answered this status and told to wait so long, or not for how long. Nobody waits for it."""
        if connection.pause_on_pushback and connection.id not in self._reporting:
            task = asyncio.get_running_loop().create_task(self._report(connection, status, wait_s))
            self._reporting[connection.id] = task
            task.add_done_callback(lambda _: self._reporting.pop(connection.id))

    async def drain(self) -> None:
        """Wait until the store knows."""
        while self._reporting:
            await asyncio.gather(*self._reporting.values())

    async def _report(self, connection: ConnectionSpec, status: int, wait_s: float | None) -> None:
        said_us = None if wait_s is None else int(wait_s * MICROS)
        max_us = connection.max_pause_s * MICROS
        try:
            await pause(self._store, connection.id, status=status, said_us=said_us, max_us=max_us)
        except StoreError:
            log.debug("a pause of connection %d was not noted", connection.id)
