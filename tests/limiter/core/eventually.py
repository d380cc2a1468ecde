"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_DEADLINE_S = 30.0
"""Far above what any condition takes: only a test that would fail waits this long."""
_PAUSE_S = 0.005

Seen = TypeVar("Seen")


async def eventually(look: Callable[[], Awaitable[Seen]], *, what: str) -> Seen:
    """The first true thing that ``look`` sees; fails, saying what was waited for, when nothing comes."""
    end = time.monotonic() + _DEADLINE_S
    while not (seen := await look()):
        assert time.monotonic() < end, f"waited {_DEADLINE_S:.0f} s for {what}"
        await asyncio.sleep(_PAUSE_S)
    return seen


def until(look: Callable[[], Seen], *, what: str) -> Seen:
    """The same without an event loop."""
    end = time.monotonic() + _DEADLINE_S
    while not (seen := look()):
        assert time.monotonic() < end, f"waited {_DEADLINE_S:.0f} s for {what}"
        time.sleep(_PAUSE_S)
    return seen
