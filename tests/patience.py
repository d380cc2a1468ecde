"""How long tests wait: for a fact, never for a time, and long enough for a machine at its worst.

A deadline here only ends a hang. Tests of time hand in a clock of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

HANG_S = 240
"""Far above what anything takes: only a test that would fail waits this long."""
HANG_MS = HANG_S * 1_000
PAUSE_S = 0.01
"""Between two looks."""

Seen = TypeVar("Seen")


async def eventually(look: Callable[[], Awaitable[Seen]], *, what: str) -> Seen:
    """The first true value of ``look``; fails with the name of the awaited fact when none comes."""
    end = time.monotonic() + HANG_S
    while not (seen := await look()):
        assert time.monotonic() < end, f"waited {HANG_S} s for {what}"
        await asyncio.sleep(PAUSE_S)
    return seen


def until(look: Callable[[], Seen], *, what: str) -> Seen:
    """The same without an event loop."""
    for _ in patiently(what):
        if seen := look():
            return seen
    raise AssertionError(what)  # never: patiently fails first


def patiently(what: str, *, pause_s: float = PAUSE_S) -> Iterator[None]:
    """Tries, a moment apart; raises AssertionError when the caller has not stopped in time."""
    end = time.monotonic() + HANG_S
    while time.monotonic() < end:
        yield
        time.sleep(pause_s)
    raise AssertionError(f"waited {HANG_S} s for {what}")
