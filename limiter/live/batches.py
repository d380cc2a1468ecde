"""Loads by name, many in one go: requests during a load, or just after it, gather for the next one.

A load costs the same, whatever the number of names: a dozen statements to the database and the cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", int, str)
T = TypeVar("T")
EVERY_S = 0.04


class TooManyWaiting(Exception):
    """More different names are waited for than may be."""


class Batches(Generic[K, T]):
    """One load at a time, of all that were asked for meanwhile, at most ``size`` names; each name is loaded once.

    ``load`` answers for every name it is given, or fails for all. A waiter that gives up does not stop the load for the
    others. ``most``: names waited for at once. ``every_s``: one load starts so long after another, unless there is
    enough for a whole one; the first starts at once.
    """

    def __init__(
        self,
        load: Callable[[Sequence[K]], Awaitable[Mapping[K, T]]],
        *,
        size: int,
        most: int,
        every_s: float = EVERY_S,
    ) -> None:
        self._load: Callable[[Sequence[K]], Awaitable[Mapping[K, T]]] = load
        self._size = size
        self._most = most
        self._every_s = every_s
        self._wanted: dict[K, asyncio.Future[T]] = {}
        self._under_way: dict[K, asyncio.Future[T]] = {}
        self._loading: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._wanted) + len(self._under_way)

    async def join(self, name: K) -> T:
        """What the load of this name brings; raises what the load raises, and :class:`TooManyWaiting`."""
        waiting = self._under_way.get(name) or self._wanted.get(name)
        if waiting is None:
            if len(self) >= self._most:
                raise TooManyWaiting(f"{self._most} names are waited for")
            waiting = self._wanted[name] = asyncio.get_running_loop().create_future()
            if self._loading is None:
                self._loading = asyncio.ensure_future(self._run())
        return await asyncio.shield(waiting)

    async def _run(self) -> None:
        """Load until nothing is wanted. A task starts after the others of its turn: these have asked by then."""
        loop = asyncio.get_running_loop()
        try:
            while self._wanted:
                due = loop.time() + self._every_s
                names = list(islice(self._wanted, self._size))
                self._under_way = {name: self._wanted.pop(name) for name in names}
                await self._bring(names)
                if len(self._wanted) < self._size:
                    await asyncio.sleep(due - loop.time())
        finally:
            self._give_up()

    async def _bring(self, names: Sequence[K]) -> None:
        try:
            found = await self._load(names)
        except Exception as error:
            for waiting in self._under_way.values():
                waiting.set_exception(error)
                waiting.exception()  # somebody looked: no complaint when all waiters have gone
        else:
            for name, waiting in self._under_way.items():
                waiting.set_result(found[name])
        self._under_way = {}

    async def close(self) -> None:
        """Cancel the loads under way, and those who wait."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        self._give_up()  # a task that is cancelled before its first step runs nothing of itself

    def _give_up(self) -> None:
        """Those who still wait are cancelled."""
        self._loading = None
        for waiting in (*self._under_way.values(), *self._wanted.values()):
            waiting.cancel()
        self._under_way, self._wanted = {}, {}
