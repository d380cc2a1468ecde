"""One deadline of a connection, looked at every few seconds: moving it costs a call no timer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


def _nothing() -> None:
    pass


class Deadline:
    """Calls ``late`` once ``due`` (in the loop's time) has passed; that may be set freely to a time that lies at least
    ``look_s`` ahead, and by :meth:`set` to any."""

    __slots__ = ("_late", "_look_at", "_look_s", "_loop", "_timer", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop, *, look_s: float, late: Callable[[], None]) -> None:
        self.due = math.inf
        self._loop = loop
        self._look_s = look_s
        self._late = late
        self._look_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Let it be due in so many seconds."""
        self.due = self._loop.time() + seconds
        if self.due < self._look_at:
            self._stop_looking()
            self._look_in(seconds)

    def end(self) -> None:
        """Never call ``late``, and let go of it: its connection would be in a circle with this."""
        self._stop_looking()
        self._late = _nothing

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_in(self, seconds: float) -> None:
        seconds = min(max(seconds, 0.001), self._look_s)
        self._look_at = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        left, self._look_at = self.due - self._loop.time(), math.inf
        if left <= 0:
            self.due = math.inf
            self._late()
        if self._look_at == math.inf:
            self._look_in(self.due - self._loop.time())
