"""The turn that writers of the record take: one at a time, so that chains have one end and counts are added once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections, transaction

CHAIN = 7_261_102_834_002
USAGE = 7_261_102_834_003
"""Numbers of PostgreSQL advisory locks; any constants nobody else uses will do."""


@contextmanager
def taken(lock: int, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """A transaction that no other one with the same lock overlaps. It ends with the outermost transaction.

    An edit takes the outbox's turn (:mod:`quota_platform.base.models.change`) before this one, and nobody
    takes them in the other order. On SQLite every transaction has the write lock from its start.
    """
    with transaction.atomic(using=using, savepoint=False):
        connection = connections[using]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
        yield
