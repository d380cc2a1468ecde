"""A worker's counts of calls by the second, and their way to the store: twice a second, in batches, each taken in once.

A call adds to numbers in memory. What the store cannot take now is kept, bounded, and sent again when it is back. A
worker that is killed loses its counts since it sent last, half a second; throttle events do not come this way.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import NamedTuple

from limiter.core import keys
from limiter.core.store import Store
from limiter.core.types import MICROS, Decision
from limiter.core.window import Stack
from limiter.demand import lines, sums
from limiter.demand.coverage import Coverage
from limiter.demand.marks import Marks
from limiter.demand.points import Calls, Demand
from limiter.demand.tally import Tally
from limiter.stores.errors import ScriptFailed, StoreError
from limiter.stores.scripts import Script

EVERY_S = 0.5
WAITS_S = 6 * 3_600
"""How long demand waits in the store for the database; then it is dropped, so that it fills nothing."""
MAX_KEPT = 50_000
"""Counts of a second, stack and key that a worker keeps, and lines; calls beyond them are not counted."""
_FIELDS = 400
"""Lines in one script."""
_AT_ONCE = 20
_ADD = Script(__file__, "add")
log = logging.getLogger(__name__)


class _Line(NamedTuple):
    field: str
    text: str
    second: int
    calls: Calls


class _Batch(NamedTuple):
    number: int
    minute: int
    lines: list[_Line]

    def words(self) -> list[str | int]:
        """The sums of its calls by second, how many words these are, and the lines."""
        by_second: dict[int, Calls] = {}
        for line in self.lines:
            by_second[line.second] = by_second.get(line.second, Calls()).plus(line.calls)
        summed = sums.words(by_second)
        return [len(summed), *summed, *(word for line in self.lines for word in (line.field, line.text))]


class DemandRecorder:
    """One per worker and event loop."""

    def __init__(self, store: Store, *, most: int = MAX_KEPT) -> None:
        self._store = store
        self._most = most
        self._name = secrets.token_hex(6)
        self._tallies: dict[tuple[int, int, str], Tally] = {}
        self._leaving: dict[int, deque[_Batch]] = {}
        self._kept = 0
        self._marks = Marks(store, most=most)
        self._numbers = itertools.count(1)
        self._sending = asyncio.Lock()
        self._coverage = Coverage(store)
        self.lost = 0
        """Calls that were not counted, since too much was kept already."""

    @property
    def waiting(self) -> int:
        """Counts that the store does not have yet."""
        return len(self._tallies) + self._kept

    def note(self, stack: Stack, key: str, decision: Decision, *, came_us: int = 0) -> None:
        """Count a call that was decided; ``came_us``: when it came, if it has waited (us)."""
        if (tally := self._tally(decision.at_us, stack, key)) is None:
            return
        tally.add(decision)
        if came_us and (came := self._tally(came_us, stack, key)) is not None:
            tally.waited += 1
            came.waits += 1

    def note_alone(self, stack: Stack, key: str, decision: Decision | None, *, cost: int, at_us: int) -> None:
        """Count a call that was decided without the store; no ``decision``: the policy's failure mode refuses it."""
        if decision is not None:
            self.note(stack, key, decision)
        elif (tally := self._tally(at_us, stack, key)) is not None:
            tally.refused += 1
            tally.refused_units += cost

    def _tally(self, at_us: int, stack: Stack, key: str) -> Tally | None:
        name = at_us // MICROS, id(stack), key
        tally = self._tallies.get(name)
        if tally is None:
            if self.waiting >= self._most:
                self.lost += 1
                return None
            tally = self._tallies[name] = Tally(stack, key)  # which keeps the stack, and so its id
        return tally

    async def send_often(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set."""
        while not stop.is_set():
            await self.send()
            await self._coverage.send()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)

    async def send(self) -> None:
        """Send the counts; those that the store does not take stay for the next time."""
        async with self._sending:
            self._collect()
            waiting = list(self._leaving)
            for at in range(0, len(waiting), _AT_ONCE):
                await asyncio.gather(*map(self._send, waiting[at : at + _AT_ONCE]))
            await self._marks.send()

    async def close(self) -> None:
        """Send once more."""
        await self.send()
        if missing := self.waiting + self.lost:
            log.warning("%d counts of demand were not recorded: the store is unavailable", missing)

    async def _send(self, connection: int) -> None:
        batches = self._leaving[connection]
        while batches:
            batch = batches[0]
            places = keys.demand(connection), keys.demand_of(connection, batch.minute)
            names = keys.demand_batch(connection, self._name), *places, keys.demand_sums(connection, batch.minute)
            try:
                numbers = batch.number, batch.minute, WAITS_S, sums.KEPT_S
                await self._store.run(_ADD, names, *numbers, *batch.words())
            except ScriptFailed:
                self.lost += len(batch.lines)  # it would fail again
            except StoreError:
                return
            batches.popleft()
            self._kept -= len(batch.lines)
        del self._leaving[connection]

    def _collect(self) -> None:
        tallies, self._tallies = self._tallies, {}
        self._marks.note((second, tally) for (second, _, _), tally in tallies.items())
        found: dict[tuple[int, int], list[_Line]] = defaultdict(list)
        for connection, second, tenant_id, demand in _by_second(tallies):
            found[connection, second // 60].append(_line(second, tenant_id, demand))
        for (connection, minute), some in sorted(found.items()):
            queue = self._leaving.setdefault(connection, deque())
            for at in range(0, len(some), _FIELDS):
                queue.append(_Batch(next(self._numbers), minute, some[at : at + _FIELDS]))
            self._kept += len(some)


def _line(second: int, tenant_id: str, demand: Demand) -> _Line:
    calls = {name: of[second] for name, of in demand.calls.items()}
    text = lines.write(calls, {name: of[second] for name, of in demand.limits.items()})
    return _Line(lines.field(second, tenant_id), text, second, demand.together().get(second, Calls()))


def _by_second(tallies: dict[tuple[int, int, str], Tally]) -> Iterator[tuple[int, int, str, Demand]]:
    """Connection, second, tenant ID and the demand of it."""
    found: dict[tuple[int, int, str], Demand] = {}
    for (second, _, _), tally in tallies.items():
        subject = tally.stack.subject
        demand = found.setdefault((subject.connection, second, subject.tenant), Demand())
        calls = tally.calls()
        levels = {name: {second: level} for name, level in tally.levels().items()}
        demand.add(Demand({tally.name: {second: calls}} if calls != Calls() else {}, levels))
    for (connection, second, tenant_id), demand in found.items():
        yield connection, second, tenant_id, demand
