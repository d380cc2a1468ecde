"""Lets a few run at once, so that they compute one after the other and not all of them slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Turns:
    """So many run at once; the others wait, first come, first served. For one event loop.

    One that takes longer than its turn no longer counts, though it goes on: it may wait for a mail server or a slow
    query, and must not hold up the others.
    """

    def __init__(
        self, at_once: int, *, turn_s: float, later: Callable[[float, Callable[[], None]], asyncio.Handle] | None = None
    ) -> None:
        self._free, self._turn_s = asyncio.Semaphore(at_once), turn_s
        self._later = later

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        await self._free.acquire()
        counts = True

        def ends() -> None:
            nonlocal counts
            if counts:
                counts = False
                self._free.release()

        later = self._later or asyncio.get_running_loop().call_later
        over = later(self._turn_s, ends)
        try:
            yield
        finally:
            over.cancel()
            ends()
