"""From SIGTERM until the server closes: the process reports that it drains, and serves while callers move."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, MutableMapping
from types import FrameType
from typing import Any

DRAINING = "draining"
"""Stands in the ASGI state from SIGTERM on."""

log = logging.getLogger(__name__)


def on_sigterm(state: MutableMapping[str, Any], *, seconds: float, leaving: Callable[[], None] = lambda: None) -> None:
    """Hand SIGTERM on to the server only ``seconds`` later, or at once when it comes again; mark ``state`` meanwhile.

    ``leaving`` is called first.

    Called inside the server's loop, once the server has taken the signal for itself. A server that does not run in
    the main thread gets no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop, stop = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def close() -> None:
        if callable(stop):
            stop(signal.SIGTERM, None)

    def leave() -> None:
        leaving()
        if DRAINING in state or not seconds:
            close()
            return
        state[DRAINING] = True
        log.warning("draining: /readyz answers 503; the listener closes in %g s", seconds)
        loop.call_later(seconds, close)

    def heard(_: int, __: FrameType | None) -> None:
        loop.call_soon_threadsafe(leave)

    signal.signal(signal.SIGTERM, heard)
