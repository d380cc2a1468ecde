"""Single flight: one load at a time for each key; requests that arrive meanwhile wait for the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class TooManyFlights(Exception):
    """More different loads under way than may be."""


class Flights:
    """Loads under way, by name. A waiter that gives up does not stop the load for the others."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    async def join(self, name: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of the load of this name, started now unless it is under way; raises what the load raises."""
        task: asyncio.Task[T] | None = self._tasks.get(name)
        if task is None:
            if len(self._tasks) >= self._most:
                raise TooManyFlights(f"{self._most} loads are under way")
            task = self._tasks[name] = asyncio.ensure_future(start())
            task.add_done_callback(partial(self._landed, name))
        return await asyncio.shield(task)

    def _landed(self, name: Hashable, task: asyncio.Task[Any]) -> None:
        del self._tasks[name]
        if not task.cancelled():
            task.exception()  # somebody looked: no complaint when all waiters have gone

    async def close(self) -> None:
        """Cancel the loads under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
