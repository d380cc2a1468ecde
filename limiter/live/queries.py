"""Runs database queries in threads of its own, so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any, ParamSpec, TypeVar

from django.db import Error as DatabaseFault
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

P = ParamSpec("P")
T = TypeVar("T")
_LAST_JOBS_S = 2.0


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
        self._keep = keep
        self._jobs: set[futures.Future[Any]] = set()
        self._idle: dict[int, Sequence[BaseDatabaseWrapper]] = {}
        self._ended = False
        self._pool = futures.ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._files = threading.local()

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The outcome of ``call``, made in one of the threads."""

        def job() -> T:
            self._idle.pop(threading.get_ident(), None)
            self._close_replaced()
            try:
                return read(lambda: call(*args, **kwargs))
            finally:
                self._leave_tidy()

        # The thread's future, for a caller who gives up does not end the job.
        future = self._pool.submit(job)
        self._jobs.add(future)
        future.add_done_callback(self._jobs.discard)
        return await asyncio.wrap_future(future)

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
        self._idle[threading.get_ident()] = connections.all(initialized_only=True)
        if self._ended:
            connections.close_all()

    async def close(self) -> None:
        """End the threads and the connections they hold; one that hangs closes its own when its job ends."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        late = futures.wait(self._jobs.copy(), timeout=_LAST_JOBS_S).not_done
        self._ended = True
        self._pool.shutdown(wait=not late)
        # No job runs in these threads any more, so that this one may close their connections.
        for connection in itertools.chain.from_iterable(self._idle.copy().values()):
            connection.inc_thread_sharing()
            connection.close()


def _identity(path: str) -> tuple[int, int] | None:
    """Which file lies at ``path``; None: none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
