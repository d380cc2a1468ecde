"""Runs what has to wait for the database in threads of its own, so that the event loop never does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """A few threads. Django ties a database connection to its thread; each job leaves none behind that is broken."""

    def __init__(self, threads: int, *, name: str) -> None:
        self._count = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The outcome of ``call``, made in one of the threads."""

        def job() -> T:
            close_old_connections()
            try:
                return call(*args, **kwargs)
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    async def close(self) -> None:
        """End the threads and the connections they hold; one that hangs is left to end by itself."""
        everyone = threading.Barrier(self._count)

        def leave() -> None:
            # Nobody leaves before all are here: thus every thread gets exactly one of these.
            with contextlib.suppress(threading.BrokenBarrierError):
                everyone.wait(1)
            connections.close_all()

        loop = asyncio.get_running_loop()
        _, late = await asyncio.wait([loop.run_in_executor(self._pool, leave) for _ in range(self._count)], timeout=2)
        self._pool.shutdown(wait=not late, cancel_futures=True)
