"""What earlier releases wrote, as their own code wrote it: never edited, never made anew, read by every later release.

``record.json``: a record with refusals of every kind, edits, sign-ins, overrides, two cuts of old events and two
anchors, signed with a key of its own; and an export with its manifest. ``shared.json``: what its processes left in the
store. ``appointments.json``: units held for refused calls (``appointments.py``). ``pools.json``: shared limits and a
learned pace, and how that release's own code went on with them (``pools.py``). ``settings.json``: the names of its
settings. ``platform.tar.xz`` and ``platform.json``, of the first release: a whole deployment, stopped
(``platform.py``). ``write_samples.py`` writes all but the last two for the release that is made; ``first.py`` keeps how
the first one reads. ``previous.py`` runs the code of the previous one, where the history has it.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import redis
from django.apps import apps
from django.db import connection

FIRST = "95441a9"
HERE = Path(__file__).parent
ALL = sorted(path.parent.name for path in HERE.glob("*/record.json"))
"""Every release that samples were kept of."""


def this_version() -> str:
    """The number that the next release will have."""
    return str(tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]["version"])


def sample(release: str, name: str) -> Any:
    """The contents of one file."""
    return json.loads((HERE / release / f"{name}.json").read_text())


def put_back(record: dict[str, Any], anchors: Path) -> None:
    """Write a record's rows into the database, in the columns that they had then, and its anchors into a folder."""
    models = {model._meta.db_table: model for model in apps.get_models()}
    for table, data in record["tables"].items():
        columns = ", ".join(f'"{name}"' for name in data["columns"])
        marks = ", ".join(["%s"] * len(data["columns"]))
        fields = [next(f for f in models[table]._meta.concrete_fields if f.column == name) for name in data["columns"]]
        with connection.cursor() as cursor:
            cursor.executemany(
                f'INSERT INTO "{table}" ({columns}) VALUES ({marks})',
                [
                    [
                        field.get_db_prep_save(field.to_python(value), connection)
                        for field, value in zip(fields, row, strict=True)
                    ]
                    for row in data["rows"]
                ],
            )
    anchors.mkdir()
    for name, text in record["anchors"].items():
        (anchors / name).write_text(text)


def put_into_store(shared: dict[str, Any], url: str) -> None:
    """Write what a release's processes shared in the store, under the names that it had there."""
    with redis.Redis.from_url(url) as client:
        for name, data in shared["store"].items():
            value = data["value"]
            match data["type"]:
                case "string":
                    client.set(name, value, px=3_600_000)
                case "list":
                    client.rpush(name, *value)
                case "set":
                    client.sadd(name, *value)
                case "zset":
                    client.zadd(name, {str(member): score for member, score in value})
                case "hash":
                    client.hset(name, mapping=value)
                case "stream":
                    for entry, fields in value:
                        client.xadd(name, fields, id=entry)
