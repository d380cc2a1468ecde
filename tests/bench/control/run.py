"""One run: a scenario's calls, one after the other, through a controller to the simulated unit."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.bench.control.unit import Call, S, Scenario

TIMEOUT_US = 30 * S
TICK_US = S // 5
REFUSAL_US = S // 50
_FREED, _HEARD, _TICK = 0, 1, 2
_TURNED_AWAY = 1


class Controller(Protocol):
    """What decides calls and hears how they ended. A call's name is its number."""

    def admit(self, now_us: int, call: int, tenant: int) -> bool: ...

    def ended(self, now_us: int, call: int, tenant: int, latency_us: int | None, *, pushed_back: bool) -> None:
        """``latency_us`` None: it was only turned away."""

    def tick(self, now_us: int) -> None:
        """Five times a second, whether or not anything happens."""


@dataclass(slots=True)
class Fate:
    """How one call went. ``idle``: it was refused while a server had nothing to do."""

    at_us: int
    tenant: int
    refused: bool = False
    idle: bool = False
    waited_us: int = 0
    latency_us: int | None = None
    ended_us: int = 0


class _Servers:
    """Servers and their queue."""

    def __init__(self, scenario: Scenario, made: Sequence[Call]) -> None:
        self._scenario, self._calls = scenario, made
        self._busy = 0
        self._queue: deque[int] = deque()

    def _number(self, now_us: int) -> int:
        return round(self._scenario.unit.servers * self._scenario.servers(now_us / S - self._scenario.warm_s))

    def idle(self, now_us: int) -> bool:
        return self._busy < self._number(now_us)

    def take(self, call: int) -> bool:
        """False: it is turned away."""
        at_us, most = self._calls[call].at_us, self._scenario.max_queue
        if most is not None and not self.idle(at_us) and len(self._queue) >= most:
            return False
        self._queue.append(call)
        return True

    def freed(self) -> None:
        self._busy -= 1

    def begun(self, now_us: int) -> list[tuple[int, int]]:
        """Calls that a server takes now, each with how long it works on it."""
        found = []
        while self._queue and self.idle(now_us):
            call = self._queue.popleft()
            self._busy += 1
            stretch = self._scenario.stretch(now_us / S - self._scenario.warm_s)
            found.append((call, int(self._calls[call].service_us * stretch)))
        return found


def run(scenario: Scenario, made: Sequence[Call], controller: Controller) -> list[Fate]:
    """How each call went, in the order in which they were made."""
    fates = [Fate(call.at_us, call.tenant) for call in made]
    servers = _Servers(scenario, made)
    due: list[tuple[int, int, int, int]] = [(TICK_US, _TICK, 0, 0)]
    ends_us, arriving = scenario.ends_s * S, 0
    while True:
        at_us = made[arriving].at_us if arriving < len(made) else ends_us
        if due[0][0] <= at_us:
            now_us, kind, call, value = heapq.heappop(due)
            if kind == _FREED:
                servers.freed()
            elif kind == _HEARD and not (fate := fates[call]).ended_us:
                fate.ended_us = now_us
                fate.latency_us = None if value == _TURNED_AWAY else now_us - fate.at_us
                controller.ended(now_us, call, fate.tenant, fate.latency_us, pushed_back=value == _TURNED_AWAY)
            elif kind == _TICK:
                controller.tick(now_us)
                heapq.heappush(due, (now_us + TICK_US, _TICK, 0, 0))
        elif at_us >= ends_us:
            return fates
        else:
            now_us = at_us
            _arrive(now_us, arriving, fates[arriving], servers, controller, due)
            arriving += 1
        for begun, works_us in servers.begun(now_us):
            fate = fates[begun]
            fate.waited_us = now_us - fate.at_us
            heapq.heappush(due, (now_us + works_us, _FREED, begun, 0))
            heapq.heappush(due, (now_us + works_us + made[begun].delay_us, _HEARD, begun, 0))


def _arrive(
    now_us: int, call: int, fate: Fate, servers: _Servers, controller: Controller, due: list[tuple[int, int, int, int]]
) -> None:
    if not controller.admit(now_us, call, fate.tenant):
        fate.refused, fate.idle = True, servers.idle(now_us)
    elif not servers.take(call):
        heapq.heappush(due, (now_us + REFUSAL_US, _HEARD, call, _TURNED_AWAY))
    else:
        heapq.heappush(due, (now_us + TIMEOUT_US, _HEARD, call, 0))
