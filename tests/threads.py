"""Database connections of threads that a test started: Django ties each to its thread and closes none that ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import SyncToAsync
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from tests.patience import HANG_S

_left: list[tuple[threading.Thread, BaseDatabaseWrapper]] = []
"""Of threads that still ran when their test ended, as those of a loop that its runner closes later."""


@contextmanager
def closed_with_their_threads() -> Iterator[None]:
    """Close at the end what other threads opened meanwhile.

    PostgreSQL's driver warns of the connection of a thread that has ended, whenever the garbage collector finds it, and
    the test that runs then would fail for it. asgiref's thread goes on with the next test: there its connection may
    have been broken on purpose by this one, and the last test's would keep the database from being dropped.
    """

    def note(connection: BaseDatabaseWrapper, **_: Any) -> None:
        if threading.current_thread() is not here:
            _left.append((threading.current_thread(), connection))

    here = threading.current_thread()
    connection_created.connect(note, weak=False)
    try:
        yield
    finally:
        connection_created.disconnect(note)
        if any(thread.is_alive() for thread, _ in _left):
            SyncToAsync.single_thread_executor.submit(connections.close_all).result(HANG_S)
        for thread, connection in _left:
            if not thread.is_alive():
                connection.inc_thread_sharing()
                connection.close()
        _left[:] = [(thread, connection) for thread, connection in _left if connection.connection is not None]
