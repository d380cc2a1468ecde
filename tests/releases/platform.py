"""What a whole deployment of an earlier release leaves behind: its database, its store, and its ``VAR_DIR``.

``platform.tar.xz`` was taken from a demo of that release, run with its own code: a SQLite file, the store's keys,
anchors and exports. ``platform.json`` has the keys to it, which open nothing else.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import connections

from limiter.stores.servers import Certificates
from quota_platform.database_settings import database
from tests import releases

DATABASE = "demo.sqlite3"
STORE = "store.json"
EXPIRED = "q:workers"
"""Its heartbeats are long over by the time that they are looked at."""


def unpack(release: str, var: Path) -> dict[str, Any]:
    """Put the files into ``var``; returns the facts of ``platform.json``."""
    with tarfile.open(releases.HERE / release / "platform.tar.xz") as packed:
        packed.extractall(var, filter="data")
    return dict(releases.sample(release, "platform"))


def put_into_store(var: Path, url: str, *, taken_at_us: int) -> None:
    """Fill the store as if the earlier release had stopped this moment: sliding logs keep their age."""
    kept = json.loads((var / STORE).read_text())
    later_us = time.time_ns() // 1000 - taken_at_us
    for name, told in kept.items():
        if ":w:" in name and ":l:" in name:
            told["value"] = [int(at) + later_us for at in told["value"]]
    kept.pop(EXPIRED)
    releases.put_into_store({"store": kept}, url)


@contextlib.contextmanager
def using(path: Path) -> Iterator[None]:
    """Have every thread's default database be the SQLite file at ``path``."""
    told = database(f"sqlite:///{path}", Certificates("", "", ""), var=path.parent)
    outer, outer_settings = connections["default"], connections.settings["default"]
    connections.settings["default"] = connections.configure_settings({"default": told})["default"]
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = outer_settings
        connections["default"] = outer
