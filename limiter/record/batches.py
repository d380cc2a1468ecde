"""Hashes of counts as the record takes them: set aside as a named batch, read, and forgotten once they are stored."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from limiter.core import keys
from limiter.record.scripts import Client
from limiter.stores.scripts import Script

_TAKE, _DROP = Script(__file__, "take"), Script(__file__, "drop")


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch set aside: nobody adds to it any more. ``counts``: field -> value, as text."""

    name: str
    counts: dict[str, str]


def take(client: Client, name: str) -> Batch | None:
    """The batch of a hash to be stored now, or None.

    Several may be handed the same one; all store it under its name, so that it is stored once.
    """
    aside = keys.taken(name)
    batch = _TAKE(client, (name, aside), secrets.token_hex(12))
    if batch is None:
        return None
    counts = {
        field.decode("utf-8", "backslashreplace"): value.decode("utf-8", "backslashreplace")
        for field, value in client.hscan_iter(aside, count=1_000)
        if not field.startswith(b"#")  # about the batch: its name, and what a newer release may say of it
    }
    return Batch(batch.decode(), counts)


def drop(client: Client, name: str, batch: Batch) -> None:
    """It is in the database: forget it."""
    _DROP(client, (keys.taken(name),), batch.name)
