"""The tenants that an overview of very many reads, those that matter most first; and the calls of all of them together.

First come tenants that refuse now, then those near a limit, those whose limits are cut, those that refused lately, and
those that called last. One that is read stays as long as it is of the same kind, so that rows do not come and go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from dashboard.topics import MAX_READ, StreamTopic
from limiter.core import keys
from limiter.core.store import Store
from limiter.demand import marks, sums
from limiter.demand.marks import CALLED_KEPT_S, Marked
from limiter.demand.points import Calls
from limiter.demand.state import LATELY_S, NOW_S, RefusedCalls, refused

_AMONG = 2_000
"""Marks that are looked through for the tenants of somebody who does not see every one."""
_SETTLES_S = 10
"""Workers may add to a minute for so long after its end."""


@dataclass(slots=True)
class Crowd:
    """All tenants of an overview together. ``tenant_ids``: those that are read; ``refusing``: tenants of which a call
    was refused in the last minute; ``calls``: of all of them by second, None where they are not known.
    """

    now_s: int = 0
    tenant_ids: frozenset[str] = frozenset()
    refusing: int = 0
    connections: frozenset[int] = frozenset()
    calls: dict[int, Calls] | None = None

    def refused(self) -> RefusedCalls | None:
        """The calls that were refused lately."""
        if self.calls is None:
            return None
        return refused(((second, each.refused) for second, each in self.calls.items()), now=self.now_s)

    def pace(self) -> tuple[int, int] | None:
        """Calls allowed and refused in the last minute."""
        if self.calls is None:
            return None
        found = [self.calls[s] for s in range(self.now_s - NOW_S + 1, self.now_s + 1) if s in self.calls]
        return sum(each.allowed for each in found), sum(each.refused for each in found)


@dataclass(slots=True)
class _Summed:
    """The calls of one connection by second, and from which minute on they may still change."""

    calls: dict[int, Calls] = field(default_factory=dict)
    open_from: int = 0


class Busiest:
    """One per worker."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._crowds: dict[StreamTopic, Crowd] = {}
        self._summed: dict[int, _Summed] = {}

    def of(self, topic: StreamTopic) -> Crowd:
        """As it was found last."""
        return self._crowds.get(topic, Crowd())

    def connections(self) -> set[int]:
        """Those of all tenants there are, if a page is about them."""
        return {each for crowd in self._crowds.values() for each in crowd.connections}

    def forget(self, kept: Collection[StreamTopic]) -> None:
        """Keep only these topics."""
        self._crowds = {topic: crowd for topic, crowd in self._crowds.items() if topic in kept}
        if not self._crowds:
            self._summed = {}

    async def look(self, topic: StreamTopic) -> Crowd:
        """Find its tenants anew; raises StoreError."""
        now, held = int(self._clock()), self.of(topic).tenant_ids
        name = keys.connections()
        connections = keys.connection_ids(await self._store.command("SMEMBERS", name, key=name))
        most = 2 * MAX_READ if topic.every else _AMONG
        looks = (
            marks.read(self._store, each, since=now - CALLED_KEPT_S, now=now, most=most, also=held)
            for each in connections
        )
        found = await asyncio.gather(*looks)
        if not topic.every:
            found = [Marked(*(_only(of, topic.tenant_ids) for of in each)) for each in found]
        crowd = Crowd(now, frozenset(pick(found, held=held, now=now)), _refusing(found, now))
        if topic.every:
            crowd.connections = frozenset(connections)
            crowd.refusing = sum(await self._count(connections, now))
            crowd.calls = await self._calls(connections, now)
        self._crowds[topic] = crowd
        return crowd

    async def _count(self, connections: Iterable[int], now: int) -> list[int]:
        since = now - NOW_S + 1
        return await asyncio.gather(*(marks.count_refused(self._store, each, since=since) for each in connections))

    async def _calls(self, connections: Collection[int], now: int) -> dict[int, Calls]:
        """The calls of these connections by second. Minutes that are over are read once."""
        await asyncio.gather(*(self._sum(each, now) for each in connections))
        total: dict[int, Calls] = {}
        for each in connections:
            for second, calls in self._summed[each].calls.items():
                total[second] = total[second].plus(calls) if second in total else calls
        return total

    async def _sum(self, connection: int, now: int) -> None:
        summed = self._summed.setdefault(connection, _Summed())
        oldest = now - LATELY_S - NOW_S
        first = max(summed.open_from, oldest // 60)
        summed.calls |= await sums.read(self._store, connection, range(first, now // 60 + 2))
        summed.calls = {second: calls for second, calls in summed.calls.items() if second >= oldest}
        summed.open_from = (now - _SETTLES_S) // 60


def pick(found: Collection[Marked], *, held: Collection[str], now: int) -> list[str]:
    """The tenants to read, at most ``MAX_READ``; ``held``: those that are read already."""
    chosen: dict[str, None] = {}
    for kind in _kinds(found, now):
        for name in sorted(kind, key=lambda name: (name not in held, -kind[name], name)):
            if len(chosen) >= MAX_READ:
                return list(chosen)
            chosen[name] = None
    return list(chosen)


def _kinds(found: Collection[Marked], now: int) -> Iterator[dict[str, int]]:
    refused, near, called, cut = (_together(each[place] for each in found) for place in range(4))
    yield {name: at for name, at in refused.items() if at > now - NOW_S}
    yield near
    yield cut
    yield {name: at for name, at in refused.items() if at > now - LATELY_S}
    yield {name: at for name, at in called.items() if at > now - CALLED_KEPT_S}


def _together(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    together: dict[str, int] = {}
    for part in parts:
        for name, at in part.items():
            together[name] = max(at, together.get(name, 0))
    return together


def _only(of: dict[str, int], tenant_ids: Collection[str]) -> dict[str, int]:
    return {name: at for name, at in of.items() if name in tenant_ids}


def _refusing(found: Iterable[Marked], now: int) -> int:
    return len({name for each in found for name, at in each.refused.items() if at > now - NOW_S})
