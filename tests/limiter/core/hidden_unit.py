"""Upstreams that take so many calls and do not say how many, in virtual time, before the real deciding scripts."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from limiter.core.pacing import Ended, learn
from limiter.core.pausing import pause
from limiter.core.store import Store
from tests.limiter.core.given import ACME, T0, S, call, stack

C = ACME.connection
REPORT_S, LATENCY_S = 0.25, 0.1
VARIES = 0.4
"""How far the way there is from half of the latency, as a share."""


def gap_s(per_s: float, rng: random.Random, *, evenly: bool) -> float:
    """Until the next call comes."""
    return 1 / per_s if evenly else rng.expovariate(per_s)


class Hidden(Protocol):
    """Takes a call, or says how many seconds it takes none. ``per_minute`` may be changed on the way.

    ``lasts_s``: how long it works on a call.
    """

    per_minute: float
    lasts_s: float

    def wait_s(self, at: float) -> float: ...


@dataclass
class Bucket:
    """So many a minute, evenly, and a burst saved up."""

    per_minute: float
    lasts_s: float = 0
    burst: float = 10
    level: float = 10
    filled_at: float = 0

    def wait_s(self, at: float) -> float:
        rate = self.per_minute / 60
        self.level, self.filled_at = min(self.burst, self.level + (at - self.filled_at) * rate), at
        if self.level < 1 - 1e-9:
            return (1 - self.level) / rate
        self.level -= 1
        return 0


@dataclass
class Sliding:
    """So many in any window; ``seconds`` long."""

    per_minute: float
    lasts_s: float = 0
    seconds: float = 60
    taken: deque[float] = field(default_factory=deque)

    def wait_s(self, at: float) -> float:
        most = max(1, round(self.per_minute * self.seconds / 60))
        while self.taken and self.taken[0] <= at - self.seconds:
            self.taken.popleft()
        if len(self.taken) >= most:
            return self.taken[len(self.taken) - most] + self.seconds - at
        self.taken.append(at)
        return 0


@dataclass
class Fixed:
    """So many in each window of the clock."""

    per_minute: float
    lasts_s: float = 0
    seconds: float = 60
    begun: float = -1
    count: int = 0

    def wait_s(self, at: float) -> float:
        begun = math.floor(at / self.seconds)
        if begun != self.begun:
            self.begun, self.count = begun, 0
        if self.count >= max(1, round(self.per_minute * self.seconds / 60)):
            return (begun + 1) * self.seconds - at
        self.count += 1
        return 0


@dataclass
class Weighted:
    """So many in any window, estimated from those of the window of the clock and of the one before."""

    per_minute: float
    lasts_s: float = 0
    seconds: float = 60
    counts: dict[int, int] = field(default_factory=dict)

    def wait_s(self, at: float) -> float:
        begun, most = int(at // self.seconds), max(1, round(self.per_minute * self.seconds / 60))
        now, before = self.counts.get(begun, 0), self.counts.get(begun - 1, 0)
        share = at / self.seconds - begun
        if now + before * (1 - share) + 1 > most + 1e-9:
            frees = 1 - (most - 1 - now) / before if now < most and before else 1
            return max(1e-3, (frees - share) * self.seconds)
        self.counts[begun] = now + 1
        return 0


@dataclass
class InFlight:
    """As many at once as make so many a minute, if each lasts so long."""

    per_minute: float
    lasts_s: float = 1
    ends: list[float] = field(default_factory=list)

    def wait_s(self, at: float) -> float:
        self.ends = [end for end in self.ends if end > at]
        if len(self.ends) >= max(1, round(self.per_minute * self.lasts_s / 60)):
            return 1
        self.ends.append(at + self.lasts_s)
        return 0


@dataclass
class Seen:
    """What happened in one run, by second."""

    ran: list[float] = field(default_factory=list)
    turned_away: list[float] = field(default_factory=list)
    paces: list[tuple[float, float]] = field(default_factory=list)

    def requests_per_call(self, *, since: float = 0, until: float = math.inf) -> float:
        ran = self.rate(since=since, until=until, of=self.ran)
        return 1 + self.rate(since=since, until=until, of=self.turned_away) / max(1, ran)

    @staticmethod
    def rate(*, since: float, until: float, of: list[float]) -> int:
        return sum(since <= at < until for at in of)


class Run:
    """Events in virtual time, the next first. ``shared``: tenants share the pace."""

    shared = False

    def __init__(
        self,
        store: Store,
        unit: Hidden,
        *,
        rng: random.Random,
        says: bool,
        workers: int,
        waits_s: float,
        varies: float = VARIES,
        evenly: bool = False,
    ) -> None:
        self.store, self.unit, self.rng, self.says = store, unit, rng, says
        self._evenly = evenly
        self.seen, self.bound = Seen(), stack()
        self.counts = [[0.0] * 3 for _ in range(workers)]  # ran, held, the sum of when those that ran were sent
        self._ended: list[list[tuple[float, float]]] = [[] for _ in range(workers)]
        self._at_once = [False] * workers
        self._waits_s, self._varies = waits_s, varies
        self._lines: list[deque[float]] = [deque() for _ in range(workers)]
        self._ahead: list[tuple[float, int, Callable[[float], Awaitable[None]]]] = []
        self._number = 0

    def start(self, demand: Callable[[float], float]) -> None:
        """Workers that report, and the first call."""
        self.report_regularly()
        self.at(self._gap_s(demand(0)), self.calls(demand))

    def _gap_s(self, per_s: float) -> float:
        return gap_s(per_s, self.rng, evenly=self._evenly)

    def report_regularly(self) -> None:
        workers = len(self.counts)
        for worker in range(workers):
            self.at(REPORT_S * (1 + worker / workers), self.reports(worker))

    def at(self, when: float, then: Callable[[float], Awaitable[None]]) -> None:
        self._number += 1
        heapq.heappush(self._ahead, (when, self._number, then))

    async def until(self, seconds: float) -> None:
        while self._ahead and self._ahead[0][0] < seconds:
            when, _, then = heapq.heappop(self._ahead)
            await then(when)

    def calls(self, demand: Callable[[float], float], worker: int = 0) -> Callable[[float], Awaitable[None]]:
        async def one(at: float) -> None:
            following = (worker + 1) % len(self.counts)
            self.at(at + self._gap_s(demand(at)), self.calls(demand, following))
            line = self._lines[worker]
            if self._waits_s and line:
                line.append(at)
            elif (wait_s := await self.decided(worker, at)) and self._waits_s:
                line.append(at)
                self.at(at + wait_s, self.turn(worker))

        return one

    async def decided(self, worker: int, at: float) -> float:
        """For how long the call is held back (s); 0: it is on its way."""
        decision = await call(self.store, self.bound, int(at * S))
        if decision.allowed:
            half = self.rng.uniform(1 - self._varies, 1 + self._varies) / 2
            self.at(at + LATENCY_S * half, self.arrival(worker, at))
            return 0
        self.counts[worker][1] += 1
        return decision.paused_us / S

    def turn(self, worker: int) -> Callable[[float], Awaitable[None]]:
        """Of the first call of a worker's line."""

        async def one(at: float) -> None:
            line = self._lines[worker]
            while line and line[0] < at - self._waits_s:
                line.popleft()
            if not line:
                return
            wait_s = await self.decided(worker, at)
            if not wait_s:
                line.popleft()
            if line:
                self.at(at + wait_s, self.turn(worker))

        return one

    def arrival(self, worker: int, sent: float) -> Callable[[float], Awaitable[None]]:
        async def arrives(at: float) -> None:
            wait_s = self.unit.wait_s(at)
            (self.seen.turned_away if wait_s else self.seen.ran).append(at)
            self.at(at + LATENCY_S / 2 + (0 if wait_s else self.unit.lasts_s), self.response(worker, wait_s, sent))

        return arrives

    def response(self, worker: int, wait_s: float, sent: float) -> Callable[[float], Awaitable[None]]:
        async def comes(at: float) -> None:
            if not wait_s:
                self.counts[worker][0] += 1
                self.counts[worker][2] += sent
                self._ended[worker].append((sent, at))
                if self._at_once[worker]:
                    await self.report(worker, at)
                return
            said_us = math.ceil(wait_s) * S if self.says else None
            away_us = int((at - sent) * S)
            await self.report(worker, at, pushed_back=1, said_us=said_us or 0, away_us=away_us)
            await pause(self.store, C, status=429, said_us=said_us, max_us=900 * S, now_us=T0 + int(at * S))

        return comes

    def reports(self, worker: int) -> Callable[[float], Awaitable[None]]:
        async def one(at: float) -> None:
            self.at(at + REPORT_S, self.reports(worker))
            if any(self.counts[worker]):
                await self.report(worker, at)

        return one

    async def report(
        self, worker: int, at: float, *, pushed_back: int = 0, said_us: int = 0, away_us: int | None = None
    ) -> None:
        (ran, held, sent), self.counts[worker] = self.counts[worker], [0.0] * 3
        ago_us = int((at - sent / ran) * S) if ran else 0
        ended, self._ended[worker] = self._ended[worker], []
        pace, self._at_once[worker] = await learn(
            self.store,
            C,
            ran=int(ran),
            held=int(held),
            pushed_back=pushed_back,
            ago_us=ago_us,
            said_us=said_us,
            shared=self.shared,
            away_us=away_us,
            ended=[Ended(int((at - sent) * S), int((at - ended) * S)) for sent, ended in ended],
            now_us=T0 + int(at * S),
        )
        if pace is not None:
            before = self.seen.paces[-1][1] if self.seen.paces else pace
            assert not pushed_back or pace <= before + 0.11, "pushback raises no pace, rounding left out"
            self.seen.paces.append((at, pace))

    def change(self, per_minute: float) -> Callable[[float], Awaitable[None]]:
        async def one(at: float) -> None:
            self.unit.per_minute = per_minute

        return one


async def run(
    store: Store,
    unit: Hidden,
    *,
    seconds: float,
    demand: Callable[[float], float],
    rng: random.Random,
    says: bool = True,
    workers: int = 2,
    waits_s: float = 0,
    varies: float = VARIES,
    evenly: bool = False,
    changes: Mapping[float, float] = MappingProxyType({}),
) -> Seen:
    """Offer ``demand`` calls a second, for so long: Poisson, or evenly. ``says``: whether a 429 has a Retry-After.

    ``waits_s``: how long a call that is held back waits for its turn, in its worker's line.
    ``varies``: how far the way there is from half of the latency, as a share.
    ``changes``: second -> calls a minute that the unit takes from then on.
    """
    made = Run(store, unit, rng=rng, says=says, workers=workers, waits_s=waits_s, varies=varies, evenly=evenly)
    for at, per_minute in changes.items():
        made.at(at, made.change(per_minute))
    made.start(demand)
    await made.until(seconds)
    return made.seen
