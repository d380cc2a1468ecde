"""Runs database queries in threads of its own, so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import Error as DatabaseFault
from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")


def read(call: Callable[[], T]) -> T:
    """The outcome of ``call``, which only reads. The connection that was kept for it may have broken long ago: then it
    is made once more, with a new one.
    """
    kept = any(connection.connection is not None for connection in connections.all(initialized_only=True))
    try:
        return call()
    except DatabaseFault:
        connections.close_all()
        if not kept:
            raise
        return call()


class Aside:
    """A few threads. Django ties a database connection to its thread; each job leaves none behind that is broken.

    ``keep``: connections stay open from job to job, for jobs that come every second and only read. One to an SQLite
    file is closed when another file lies in its place.
    """

    def __init__(self, threads: int, *, name: str, keep: bool = False) -> None:
        self._count = threads
        self._keep = keep
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._files = threading.local()

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The outcome of ``call``, made in one of the threads."""

        def job() -> T:
            self._close_replaced()
            try:
                return read(lambda: call(*args, **kwargs))
            finally:
                self._leave_tidy()

        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    def _close_replaced(self) -> None:
        """Looked at before a job opens a file: the next job notices one that takes its place at any time after."""
        for connection in connections.all() if self._keep else ():
            if connection.vendor == "sqlite":
                lies_there = _identity(connection.settings_dict["NAME"])
                if getattr(self._files, connection.alias, None) != lies_there:
                    setattr(self._files, connection.alias, lies_there)
                    connection.close()

    def _leave_tidy(self) -> None:
        for connection in () if self._keep else connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()

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


def _identity(path: str) -> tuple[int, int] | None:
    """Which file lies at ``path``; None: none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
