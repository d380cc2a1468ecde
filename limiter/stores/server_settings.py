"""How the platform's servers are set up, and what may be lost by that: for the log, and for the details of ``/readyz``.

A managed store refuses CONFIG, and a user without the right INFO: what cannot be known is said to be unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import hiredis

from limiter.stores.away import is_unavailable
from limiter.stores.errors import StoreError, StoreUnavailable
from limiter.stores.pipeline import Reply, pack
from limiter.stores.pool import Link, StorePool

OLDEST = (6, 2)
"""The first version that has every command we use (XAUTOCLAIM)."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Use:
    """What a server is used for. ``evicted``: what its evictions do; ``forgotten``: what its restart may lose."""

    evicted: str
    forgotten: str


LIMITER = Use(
    evicted="limits would let calls through and refusals could be missing from the record",
    forgotten="what limits have counted, and refusals and usage that are not in the database yet",
)
SHARED = Use(
    evicted="repeated calls could be sent upstream once more and work for Celery be missing",
    forgotten="remembered responses, so that repeated calls are sent upstream once more, and work for Celery",
)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``version``, ``eviction``: in the server's own words. ``maxmemory``: bytes, 0 for no bound; None: unknown.

    ``append_only``: whether there is such a file. ``save``: when snapshots are made, empty for never. ``run``: which
    run of which server this is.
    """

    version: str = UNKNOWN
    eviction: str = UNKNOWN
    maxmemory: int | None = None
    append_only: bool | None = None
    save: str | None = None
    refused: str = ""
    run: str = ""

    @property
    def persistence(self) -> str:
        if self.append_only:
            return "append-only file"
        if self.append_only is None or self.save is None:
            return UNKNOWN
        return f"snapshots ({self.save})" if self.save else "none"

    def warnings(self, use: Use) -> Iterator[str]:
        """What may be lost, and the remedy, one sentence or two each."""
        if self.refused:
            yield f"The store does not say how it is set up ({self.refused}). Grant its user +info to have it checked."
        if self.eviction not in (UNKNOWN, "noeviction"):
            yield (
                f"The store evicts keys when it is full (maxmemory-policy {self.eviction}): {use.evicted}."
                " Set maxmemory-policy noeviction."
            )
        if self.append_only is False:
            kept = {None: "unknown", "": "none"}.get(self.save, self.save)
            yield (
                f"The store keeps no append-only file (snapshots: {kept}): its restart may lose {use.forgotten}."
                " Set appendonly yes."
            )
        if (version := _number(self.version)) and version < OLDEST:
            yield f"The store is version {self.version}; 6.2 is the oldest that has every command used here."


@dataclass(frozen=True, slots=True)
class Server:
    """``name``: host and port. ``settings``: None where it did not answer."""

    name: str
    use: Use
    settings: ServerSettings | None


async def look(limiter: Link, shared: Link | None) -> list[Server]:
    """Ask every primary of the limiter's store and, where it is another, the server that all else shares."""
    found = await _servers(limiter, LIMITER)
    if shared is not None:
        runs = {server.settings.run for server in found if server.settings}
        found += [each for each in await _servers(shared, SHARED) if not each.settings or each.settings.run not in runs]
    return found


def warnings(servers: Iterable[Server]) -> list[str]:
    """What may be lost by the settings of these servers; what holds for several is said once, with their names."""
    data: dict[str, list[str]] = {}
    for server in servers:
        for warning in server.settings.warnings(server.use) if server.settings else ():
            data.setdefault(warning, []).append(server.name)
    return [f"{warning} ({', '.join(names)})" for warning, names in data.items()]


async def _servers(link: Link, use: Use) -> list[Server]:
    try:
        primaries = await link.primaries()
    except StoreUnavailable:
        return []
    found = await asyncio.gather(*map(_settings, primaries.values()))
    return [Server(name, use, settings) for name, settings in zip(primaries, found, strict=True)]


async def _settings(server: StorePool) -> ServerSettings | None:
    """None when it is unavailable."""
    try:
        return await ask(server)
    except StoreError:
        return None


async def ask(server: StorePool) -> ServerSettings:
    """Ask one server; raises StoreUnavailable."""
    data: dict[str, str] = {}
    refused = ""
    for section in ("server", "memory", "persistence"):
        reply = await _reply(server, "INFO", section)
        if isinstance(reply, bytes):
            data |= _fields(reply)
        else:
            refused = str(reply)
    return _read(data, refused, await _reply(server, "CONFIG", "GET", "save"))


def _read(data: Mapping[str, str], refused: str, save: Reply) -> ServerSettings:
    return ServerSettings(
        version=data.get("valkey_version") or data.get("redis_version") or UNKNOWN,
        eviction=data.get("maxmemory_policy", UNKNOWN),
        maxmemory=_int(data.get("maxmemory")),
        append_only={"0": False, "1": True}.get(data.get("aof_enabled", "")),
        save=save[1].decode() if isinstance(save, list) and save else None,
        refused=refused,
        run=data.get("run_id", ""),
    )


async def _reply(server: StorePool, *words: str) -> Reply:
    """Its reply, an error included."""
    reply = await server.send(pack(*words))
    if isinstance(reply, hiredis.ReplyError) and is_unavailable(reply):
        raise StoreUnavailable(f"the server cannot answer now: {reply}")
    return reply


def _fields(text: bytes) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
