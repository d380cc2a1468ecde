"""Which tenants called lately, were refused, or came near a limit: marks in the store, by the last second.

A reader that cannot look at every tenant finds here those to look at. A mark may come twice, and the newest counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from limiter.core import keys
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.demand.state import LATELY_S
from limiter.demand.tally import Tally
from limiter.stores.errors import StoreError

NEAR_KEPT_S = 600
"""How long the store keeps who was near a limit, for the alerts."""
CALLED_KEPT_S = 300
REFUSED_KEPT_S = LATELY_S + 60


class _Kind(NamedTuple):
    """``names``: what a tally marks, if anything. ``kept_s``: how long the store keeps it."""

    key: Callable[[int], str]
    kept_s: int
    names: Callable[[Tally], str]


def _near(tally: Tally) -> str:
    subject = tally.stack.subject
    return f"{subject.tenant}|{subject.action}" if tally.is_near() else ""


_KINDS = (
    _Kind(keys.near, NEAR_KEPT_S, _near),
    _Kind(keys.called, CALLED_KEPT_S, lambda tally: tally.stack.subject.tenant),
    _Kind(keys.refused, REFUSED_KEPT_S, lambda tally: tally.stack.subject.tenant if tally.refused else ""),
)


class Marks:
    """A worker's marks on their way to the store. ``most``: of each kind and connection."""

    def __init__(self, store: Store, *, most: int) -> None:
        self._store = store
        self._most = most
        self._waiting: dict[tuple[int, int], dict[str, int]] = {}

    def note(self, tallies: Iterable[tuple[int, Tally]]) -> None:
        """Take in counts, each with its second."""
        for second, tally in tallies:
            for kind, (_, _, names) in enumerate(_KINDS):
                if name := names(tally):
                    of = self._waiting.setdefault((tally.stack.subject.connection, kind), {})
                    if len(of) < self._most or name in of:
                        of[name] = max(second, of.get(name, 0))

    async def send(self) -> None:
        """Send them; those that the store does not take stay for the next time."""
        await asyncio.gather(*(self._send(*place) for place in list(self._waiting)))

    async def _send(self, connection: int, number: int) -> None:
        kind, seconds = _KINDS[number], self._waiting[connection, number]
        name, pairs = kind.key(connection), [part for member, second in seconds.items() for part in (second, member)]
        try:
            await self._store.command("ZADD", name, "GT", *pairs, key=name)
            await self._store.command("ZREMRANGEBYSCORE", name, "-inf", max(seconds.values()) - kind.kept_s, key=name)
            await self._store.command("EXPIRE", name, kind.kept_s, key=name)
        except StoreError:
            return
        del self._waiting[connection, number]


class Marked(NamedTuple):
    """Tenants of a connection by the last second: the newest of each kind, and those that were asked for."""

    refused: dict[str, int]
    near: dict[str, int]
    called: dict[str, int]
    cut: dict[str, int]
    """Until when."""


async def read(store: Store, connection: int, *, since: int, now: int, most: int, also: Collection[str] = ()) -> Marked:
    """At most so many of each kind from second ``since`` on, and ``also`` these tenants; raises StoreError.

    ``now``: cuts that end later are those that last.
    """
    parts = [
        _newest(store, keys.refused(connection), since - LATELY_S, most),
        _newest(store, keys.near(connection), since, most),
        _newest(store, keys.called(connection), since, most),
        _newest(store, keys.cut(connection), now * MICROS, most),
    ]
    if also:
        parts += [_scores(store, keys.refused(connection), also), _scores(store, keys.called(connection), also)]
    refused, near, called, cut, *held = await asyncio.gather(*parts)
    if held:
        refused |= held[0]
        called |= held[1]
    ends = {name.partition("|")[0]: end // MICROS for name, end in cut.items()}
    return Marked(refused, {name.partition("|")[0]: second for name, second in near.items()}, called, ends)


async def count_refused(store: Store, connection: int, *, since: int) -> int:
    """How many tenants were refused a call from second ``since`` on; raises StoreError."""
    name = keys.refused(connection)
    return int(await store.command("ZCOUNT", name, since, "+inf", key=name))


async def _newest(store: Store, name: str, since: int, most: int) -> dict[str, int]:
    command = ("ZREVRANGEBYSCORE", name, "+inf", since, "WITHSCORES", "LIMIT", 0, most)
    flat = await store.command(*command, key=name)
    return {member.decode("utf-8", "replace"): int(score) for member, score in _pairs(flat)}


async def _scores(store: Store, name: str, members: Collection[str]) -> dict[str, int]:
    found = await store.command("ZMSCORE", name, *members, key=name)
    return {member: int(float(score)) for member, score in zip(members, found, strict=True) if score is not None}


def _pairs(flat: list[bytes]) -> Iterable[tuple[bytes, float]]:
    return ((member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True))
