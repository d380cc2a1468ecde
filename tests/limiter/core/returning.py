"""Callers of a shared limit that come back when they are asked to, as obedient HTTP clients do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import NamedTuple

import redis

from limiter.core import keys
from limiter.core.types import MICROS, CountedPer, Decision, Limit
from limiter.core.window import Call
from tests.limiter.core.contending import Contention
from tests.limiter.core.given import T0

GRACE_US = 2 * MICROS
JITTER_US = 9_000
"""How much later than asked a client comes, at most."""


class Come(NamedTuple):
    """A call: when (us after T0), whose, its number, and as which call that waits in the gateway (or "").

    ``again``: it was refused before, and comes when it was asked to.
    """

    at_us: int
    tenant: str
    number: int
    itself: str = ""
    at_last: int = 0
    again: bool = False


class Seen(NamedTuple):
    """What became of it."""

    come: Come
    decision: Decision

    @property
    def used(self) -> int:
        return self.decision.states[0].used


@dataclass
class Crowd:
    """``patience_us``: a client that is asked to wait longer gives up."""

    contention: Contention
    dice: random.Random
    patience_us: int = 60 * MICROS
    calls: int = 0
    _to_come: list[Come] = field(default_factory=list)

    def serve(self, flow: Iterable[tuple[int, str, int]], *, until_us: int) -> Iterator[Seen]:
        """New calls of a flow, and those that come back, in their order."""
        for at_us, tenant, _ in flow:
            yield from self._returning(at_us)
            self.calls += 1
            yield self._made(Come(at_us, tenant, self.calls))
        yield from self._returning(until_us)

    def _returning(self, until_us: int) -> Iterator[Seen]:
        while self._to_come and self._to_come[0].at_us <= until_us:
            yield self._made(heappop(self._to_come))

    def _made(self, come: Come) -> Seen:
        client = self._client(come.tenant)
        itself = come.itself or f"{client[:8]}{come.number:012x}"
        late = bool(come.itself) and come.at_us > come.at_last
        call = Call(
            f"d{come.number}-{come.at_us}",
            now_us=T0 + come.at_us,
            patience_us=None if late else 0,
            waited=bool(come.itself),
            client=client,
            itself=itself,
        )
        decision = self.contention.decide(come.tenant, call)
        wait = decision.retry_after_us
        if not decision.allowed and wait is not None and wait <= self.patience_us:
            if decision.waits:
                grace = self.contention.limit.reserve_us
                again = come._replace(
                    at_us=come.at_us + wait, itself=itself, at_last=come.at_last or come.at_us + wait + grace
                )
            else:
                asked = max(MICROS, -(-wait // MICROS) * MICROS)
                again = Come(come.at_us + asked + self.dice.randint(0, JITTER_US), come.tenant, come.number, again=True)
            heappush(self._to_come, again)
        return Seen(come, decision)

    @staticmethod
    def _client(tenant: str) -> str:
        return f"{tenant.encode().hex():0>8}"[-8:] + 12 * "0"


def passed(seen: Iterable[Seen]) -> Counter[str]:
    return Counter(each.come.tenant for each in seen if each.decision.allowed)


def total(url: str, counter: str) -> int:
    """Of all tenants."""
    with redis.Redis.from_url(url) as store:
        counts = store.hgetall(keys.totals(1))
    return sum(int(units) for name, units in counts.items() if name.decode().endswith(f"|{counter}"))


def shared_limit(limit: Limit) -> Limit:
    """With appointments."""
    return replace(limit, counted_per=CountedPer.CONNECTION, reserve_us=GRACE_US)
