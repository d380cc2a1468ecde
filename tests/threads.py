"""Database connections of threads that a test started: Django ties each to its thread and closes none that ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


@contextmanager
def closed_with_their_threads() -> Iterator[None]:
    """Close at the end what threads opened meanwhile that have ended: PostgreSQL's driver warns of each, whenever the
    garbage collector finds it, and the test that runs then would fail for it.
    """
    opened: list[tuple[threading.Thread, BaseDatabaseWrapper]] = []

    def note(connection: BaseDatabaseWrapper, **_: Any) -> None:
        opened.append((threading.current_thread(), connection))

    connection_created.connect(note, weak=False)
    try:
        yield
    finally:
        connection_created.disconnect(note)
        for thread, connection in opened:
            if not thread.is_alive():
                connection.inc_thread_sharing()
                connection.close()
