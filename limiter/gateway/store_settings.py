"""How a store is set up, and what may be lost by that: said at start and to who may see the details of ``/readyz``.

A managed store refuses CONFIG, and a user without the right INFO: what cannot be known is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from limiter.core import keys
from limiter.core.store import Store

OLDEST = (6, 2)
"""The first version that has every command we use (XAUTOCLAIM)."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``version``, ``eviction``: in the store's own words. ``maxmemory``: bytes, 0 for no bound; None: unknown.

    ``append_only``: whether there is such a file. ``save``: when snapshots are made, empty for never.
    """

    version: str = UNKNOWN
    eviction: str = UNKNOWN
    maxmemory: int | None = None
    append_only: bool | None = None
    save: str | None = None
    refused: str = ""

    @property
    def persistence(self) -> str:
        if self.append_only:
            return "append-only file"
        if self.append_only is None or self.save is None:
            return UNKNOWN
        return f"snapshots ({self.save})" if self.save else "none"

    def warnings(self) -> list[str]:
        """What may be lost, and the remedy, one sentence or two each."""
        return list(self._warnings())

    def _warnings(self) -> Iterator[str]:
        if self.refused:
            yield f"The store does not say how it is set up ({self.refused}). Grant its user +info to have it checked."
        if self.eviction not in (UNKNOWN, "noeviction"):
            yield (
                f"The store evicts keys when it is full (maxmemory-policy {self.eviction}): limits would let calls"
                " through and refusals could be missing from the record. Set maxmemory-policy noeviction."
            )
        if self.append_only is False:
            kept = {None: "unknown", "": "none"}.get(self.save, self.save)
            yield (
                f"The store keeps no append-only file (snapshots: {kept}): its restart may lose what limits have"
                " counted, and refusals and usage that are not in the database yet. Set appendonly yes."
            )
        if (version := _number(self.version)) and version < OLDEST:
            yield f"The store is version {self.version}; 6.2 is the oldest that has every command used here."


async def look(store: Store) -> StoreSettings:
    """Ask the limiter's store, of a cluster one of its nodes; raises StoreError when it is unavailable."""
    told: dict[str, str] = {}
    refused = ""
    for section in ("server", "memory", "persistence"):
        reply = await store.ask("INFO", section, key=keys.workers())
        if isinstance(reply, bytes):
            told |= _fields(reply)
        else:
            refused = str(reply)
    save = await store.ask("CONFIG", "GET", "save", key=keys.workers())
    return StoreSettings(
        version=told.get("valkey_version") or told.get("redis_version") or UNKNOWN,
        eviction=told.get("maxmemory_policy", UNKNOWN),
        maxmemory=_int(told.get("maxmemory")),
        append_only={"0": False, "1": True}.get(told.get("aof_enabled", "")),
        save=save[1].decode() if isinstance(save, list) and save else None,
        refused=refused,
    )


def _fields(text: bytes) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
