"""What a whole deployment of an earlier release leaves behind: its database, its store, and its ``VAR_DIR``.

``platform.tar.xz`` was taken from a demo of that release, run with its own code: a SQLite file, the store's keys,
anchors and exports. ``platform.json`` has the keys to it, which open nothing else.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connections, transaction

from limiter.stores.servers import Certificates
from quota_platform.database_settings import database
from tests import releases

DATABASE = "demo.sqlite3"
STORE = "store.json"
MIGRATED_TO = (
    ("contenttypes",),
    ("auth",),
    ("admin",),
    ("sessions",),
    ("authtoken",),
    ("tenants", "0003"),
    ("limiter", "0011"),
)
"""How far the first release's migrations went."""
EXPIRED = "q:workers"
"""Its heartbeats are long over by the time that they are looked at."""


def unpack(release: str, var: Path) -> dict[str, Any]:
    """Put the files into ``var``; returns the facts of ``platform.json``."""
    with tarfile.open(releases.HERE / release / "platform.tar.xz") as packed:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            packed.extractall(var, filter="data")
        else:
            packed.extractall(var)
    return dict(releases.sample(release, "platform"))


def put_into_store(var: Path, url: str, *, taken_at_us: int) -> None:
    """Fill the store as if the earlier release had stopped this moment: sliding logs keep their age."""
    kept = json.loads((var / STORE).read_text())
    later_us = time.time_ns() // 1000 - taken_at_us
    for name, data in kept.items():
        if ":w:" in name and ":l:" in name:
            data["value"] = [int(at) + later_us for at in data["value"]]
    kept.pop(EXPIRED)
    releases.put_into_store({"store": kept}, url)


@contextlib.contextmanager
def using(url: str, *, var: Path) -> Iterator[None]:
    """Have every thread's default database be the one at ``url``."""
    data = database(url, Certificates("", "", ""), var=var)
    outer, outer_settings = connections["default"], connections.settings["default"]
    connections.settings["default"] = connections.configure_settings({"default": data})["default"]
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = outer_settings
        connections["default"] = outer


def columns() -> dict[str, dict[str, bool]]:
    """Of every table: each column, and whether a row may be inserted that does not name it."""
    link = connections["default"]
    with link.cursor() as cursor:
        return {
            table: {
                column.name: column.null_ok or column.default is not None
                for column in link.introspection.get_table_description(cursor, table)
            }
            for table in link.introspection.table_names(cursor)
        }


def move_into_postgres(file: Path) -> None:
    """Make the tables of the first release in the default database, an empty one, with the rows of its SQLite file."""
    for target in MIGRATED_TO:
        call_command("migrate", *target, verbosity=0)
    link = connections["default"]
    with closing(sqlite3.connect(file)) as source, transaction.atomic(), link.cursor() as cursor:
        tables = [table for table in link.introspection.table_names(cursor) if table != "django_migrations"]
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        for table in tables:
            _copy(source, table, cursor)


def _copy(source: sqlite3.Connection, table: str, cursor: Any) -> None:
    cursor.execute(
        "SELECT column_name, data_type, is_identity FROM information_schema.columns WHERE table_name = %s", [table]
    )
    data = cursor.fetchall()
    names = ", ".join(f'"{name}"' for name, _, _ in data)
    rows = [
        [
            bool(value) if kind == "boolean" and value is not None else value
            for value, (_, kind, _) in zip(row, data, strict=True)
        ]
        for row in source.execute(f'SELECT {names} FROM "{table}"')
    ]
    cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join(["%s"] * len(data))})', rows)
    for name, _, counted in data:
        if counted == "YES" and rows:
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{name}'), (SELECT max({name}) FROM {table}))"
            )
