"""The test database on SQLite: migrated once for all processes, and put back after each test that commits.

Django would run all migrations in each process, which takes seconds, and would empty and seed every table after each
test with ``transaction=True``, which takes longer than most of these tests. On other databases it does so.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection
from django.test import TransactionTestCase

ROOT = Path(__file__).parent.parent
ROOMS = ("dashboard", "limiter", "quota_platform", "tenants")
DECIDING = {"migrations", "models", "feature", "features", "groups", "apps", "settings", "roles", "row_access", "kinds"}
"""Directories and modules with tables, their permissions, and the rights that groups begin with."""
SNAPSHOT = sqlite3.connect(":memory:", check_same_thread=False)
"""The database as it was migrated."""


def supported() -> bool:
    return connection.vendor == "sqlite"


def set_up(cache: Path) -> None:
    """Give this process a migrated database, and let tests that commit put it back.

    ``cache`` keeps one for other processes and for later runs of the same code. Unblock the database first.
    """
    with only_one(cache / "lock"):
        kept = cache / f"{fingerprint()}.sqlite3"
        if not kept.exists():
            for old in cache.glob("*.sqlite3*"):
                old.unlink()
            migrate(kept)
        with closing(sqlite3.connect(kept)) as file:
            file.backup(SNAPSHOT)
    use(settings.DATABASES[DEFAULT_DB_ALIAS]["TEST"]["NAME"])

    def put_back(test: TransactionTestCase) -> None:
        connection.ensure_connection()
        SNAPSHOT.backup(connection.connection)

    put_back(TransactionTestCase())
    TransactionTestCase._fixture_teardown = put_back  # type: ignore[attr-defined]


def copy_to(path: Path) -> None:
    """Make another migrated database; an empty one before :func:`set_up`."""
    with closing(sqlite3.connect(path)) as file:
        SNAPSHOT.backup(file)


def fingerprint(root: Path = ROOT) -> str:
    """Of all that decides about a migrated database: migrations, the models and rights that they read, and packages.

    Not of other code: after most edits the next run need not migrate again, which takes longer than many tests do.
    """
    files = [root / "requirements-dev.txt"]
    files += [
        file for room in ROOMS for file in sorted((root / room).rglob("*.py")) if _decides(file.relative_to(root))
    ]
    digest = hashlib.sha256(sqlite3.sqlite_version.encode())
    for file in files:
        digest.update(b"%s\0%d\0" % (os.fsencode(file.relative_to(root)), file.stat().st_size) + file.read_bytes())
    return digest.hexdigest()


def _decides(file: Path) -> bool:
    return bool(DECIDING & {*file.parts[:-1], file.stem})


def migrate(kept: Path) -> None:
    """Make the file ``kept``, all of it or not at all."""
    unfinished = kept.with_suffix(".sqlite3-unfinished")
    use(str(unfinished))
    call_command("migrate", verbosity=0)
    connection.close()  # which also moves the write-ahead log into the file
    unfinished.rename(kept)


def use(name: str) -> None:
    """Let the default connection, and those that threads open later, be to this file."""
    connection.close()
    settings.DATABASES[DEFAULT_DB_ALIAS]["NAME"] = connection.settings_dict["NAME"] = name


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold a lock that is the kernel's: it is gone with this process, however that ends."""
    with lock.open("w") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


def cache_of(config: pytest.Config, instead: Path) -> Path:
    """The directory for later runs; ``instead`` when pytest keeps none (``-p no:cacheprovider``)."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    try:
        return instead if cache is None else cache.mkdir("migrated")
    except OSError:  # a checkout that cannot be written to
        return instead
