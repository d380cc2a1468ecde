"""Through which coroutines a task passes each time it goes on: each of them costs every wait of a call."""

from __future__ import annotations

import asyncio
from types import CoroutineType
from typing import Any


def passed_through(task: asyncio.Task[Any]) -> list[str]:
    """The names of the coroutines of a task that waits, the outermost first."""
    names = []
    at: object = task.get_coro()
    while isinstance(at, CoroutineType):
        names.append(at.__qualname__)
        at = at.cr_await
    return names
