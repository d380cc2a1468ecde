"""When the responses of a connection are due, one after the other, with one timer for many of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


def _nothing() -> None:
    pass


class Alarm:
    """Calls ``late`` at the time that was set, unless it was cleared before.

    A timer that is running is left running: it finds the time of a later request, or that nothing is due.
    """

    __slots__ = ("_at", "_late", "_look", "_looks_at", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, *, late: Callable[[], None]) -> None:
        self._loop = loop
        self._late = late
        self._at = self._looks_at = math.inf
        self._look: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """It is due in so many seconds."""
        self._at = self._loop.time() + seconds
        if self._at < self._looks_at:
            self._look_then()

    def clear(self) -> None:
        """It has come."""
        self._at = math.inf

    def cancel(self) -> None:
        """Nothing will be due any more, and ``late`` is let go of: its connection would be in a circle with this."""
        self._late = _nothing
        self._at = self._looks_at = math.inf
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_then(self) -> None:
        if self._look is not None:
            self._look.cancel()
        self._looks_at = self._at
        self._look = self._loop.call_at(self._at, self._look_now)

    def _look_now(self) -> None:
        self._look, self._looks_at = None, math.inf
        if self._at == math.inf:
            return
        if self._loop.time() < self._at:
            self._look_then()
        else:
            self.clear()
            self._late()
