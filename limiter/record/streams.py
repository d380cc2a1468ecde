"""The store's streams as the record reads them: in batches, settled only once they are in the database."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from limiter.core import keys
from limiter.record.scripts import Client
from limiter.stores.scripts import Script
from tenants.models import Connection

GROUP = "record"
CONSUMER = "record"
"""One name for all drainers: any of them may take an entry that was left idle."""
_STREAM_KEPT_S = 604_800
"""As the scripts keep a stream that nothing is added to."""
_KEEP_S = 2 * _STREAM_KEPT_S
_MOST = 1_000_000
"""As the scripts: entries of a stream."""
_ATTEND, _SETTLE = Script(__file__, "attend"), Script(__file__, "settle")


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One entry: its id in the stream, an id that no other stream's entry has, and how often it was handed out."""

    id: str
    stream_id: str
    fields: dict[str, str]
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """How a stream stands. ``lost``: entries dropped before anybody stored them, in this ``generation``."""

    generation: str
    lost: int
    after: datetime | None
    before: datetime | None


class EventStream:
    """One stream of one connection."""

    def __init__(self, client: Client, name: str, *, connection: int) -> None:
        self.name = name
        self.connection = connection
        self.client = client

    def attend(self) -> Standing | None:
        """Make the stream ready to be read; None when there is none."""
        data = _ATTEND(self.client, (self.name, keys.settled(self.name)), GROUP, secrets.token_hex(8), _KEEP_S)
        if data is None:
            return None
        generation, lost, last, oldest = data
        return Standing(generation.decode(), lost, _time_of(last), _time_of(oldest))

    def read(self, count: int) -> list[StreamEntry]:
        """Entries that nobody was handed yet, oldest first."""
        found: Any = self.client.xreadgroup(GROUP, CONSUMER, {self.name: ">"}, count=count)
        if isinstance(found, dict):  # the cluster's client
            return self._entries(entry for batches in found.values() for batch in batches for entry in batch)
        return self._entries(entry for _, entries in found for entry in entries)

    def claim(self, count: int, *, idle_ms: int) -> list[StreamEntry]:
        """Entries that somebody was handed and did not settle within ``idle_ms``, oldest first."""
        _, found, *_ = self.client.xautoclaim(self.name, GROUP, CONSUMER, idle_ms, "0-0", count=count)
        if not found:
            return []
        first, last = found[0][0], found[-1][0]
        pending = self.client.xpending_range(self.name, GROUP, first, last, count=len(found) + count)
        deliveries: dict[Any, Any] = {row["message_id"]: row["times_delivered"] for row in pending}
        return self._entries(found, deliveries)

    def add(self, fields: Mapping[str, str]) -> None:
        """One entry more."""
        data: Any = dict(fields)
        self.client.xadd(self.name, data, maxlen=_MOST)
        self.client.expire(self.name, _STREAM_KEPT_S)

    def settle(self, entries: Sequence[StreamEntry]) -> int:
        """They are in the database: take them off the stream. Returns how many nobody had settled before."""
        ids = (entry.id for entry in entries)
        return int(_SETTLE(self.client, (self.name, keys.settled(self.name)), GROUP, *ids))

    def _entries(self, found: Iterable[Any], deliveries: dict[bytes, int] | None = None) -> list[StreamEntry]:
        return [
            StreamEntry(
                id=id_.decode(),
                stream_id=f"c{self.connection}/{id_.decode()}",
                fields={_text(name): _text(value) for name, value in fields.items()},
                deliveries=(deliveries or {}).get(id_, 1),
            )
            for id_, fields in found
        ]


def connections(client: Client) -> list[int]:
    """Every connection that may have something to be stored."""
    members: Any = client.smembers(keys.connections())
    return sorted({*keys.connection_ids(members)} | set(Connection.objects.values_list("pk", flat=True)))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _time_of(entry_id: bytes) -> datetime | None:
    """When an entry was added: ids start with the store's clock in milliseconds."""
    return datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, UTC) if entry_id else None
