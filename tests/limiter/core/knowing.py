"""Senders that know an upstream's limit, but no latency ahead: how much of it anybody could use, to compare with."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from tests.limiter.core.hidden_unit import LATENCY_S, VARIES, Bucket, Fixed, Hidden, InFlight, Seen, Sliding, gap_s

MAX_REQUESTS = 1.05
"""For each call that ran, in the mean of the seeds."""
MARGINS_S = tuple(step / 100 for step in range(-8, 9))
"""Tried: so much longer than the limit's time, or shorter, since calls come closer together than they were sent."""


class Sender(Protocol):
    """Decides when calls are sent."""

    def ready(self, at: float) -> float:
        """From when on a call may be sent; infinite if that is not known before another one has ended."""

    def sent(self, at: float) -> None: ...

    def ended(self, sent: float, *, ran: bool) -> None: ...


@dataclass
class Saving:
    """One call in each interval, and so many that were saved up."""

    interval_s: float
    burst: float
    due: float = 0

    def ready(self, at: float) -> float:
        return max(at, self.due - (self.burst - 1) * self.interval_s)

    def sent(self, at: float) -> None:
        self.due = max(self.due, at) + self.interval_s

    def ended(self, sent: float, *, ran: bool) -> None:
        if not ran:
            self.due -= self.interval_s


@dataclass
class Window:
    """So many calls in any window."""

    calls: int
    seconds: float
    log: deque[float] = field(default_factory=deque)

    def ready(self, at: float) -> float:
        return at if len(self.log) < self.calls else max(at, self.log[-self.calls] + self.seconds)

    def sent(self, at: float) -> None:
        self.log.append(at)

    def ended(self, sent: float, *, ran: bool) -> None:
        if not ran:
            self.log.remove(sent)


@dataclass
class Clock:
    """So many calls in each window of the clock. ``ahead_s``: how long before a window its first call is sent."""

    calls: int
    seconds: float
    ahead_s: float
    begun: int = -1
    count: int = 0

    def _window(self, at: float) -> int:
        return math.floor((at + self.ahead_s) / self.seconds + 1e-9)

    def ready(self, at: float) -> float:
        if self.begun < self._window(at) or self.count < self.calls:
            return at
        return (self.begun + 1) * self.seconds - self.ahead_s

    def sent(self, at: float) -> None:
        if self.begun < self._window(at):
            self.begun, self.count = self._window(at), 0
        self.count += 1

    def ended(self, sent: float, *, ran: bool) -> None:
        if not ran and self._window(sent) == self.begun:
            self.count -= 1


@dataclass
class UnderWay:
    """So many calls whose response has not come."""

    calls: int
    under_way: int = 0

    def ready(self, at: float) -> float:
        return at if self.under_way < self.calls else math.inf

    def sent(self, at: float) -> None:
        self.under_way += 1

    def ended(self, sent: float, *, ran: bool) -> None:
        self.under_way -= 1


Making = Callable[[], Sender]


def for_bucket(unit: Bucket) -> Iterator[Making]:
    for margin_s in MARGINS_S:
        if (interval_s := 60 / unit.per_minute + margin_s) > 0:
            for burst in {1.0, max(1.0, unit.burst - 1), unit.burst}:
                yield partial(Saving, interval_s, burst)


def for_sliding(unit: Sliding) -> Iterator[Making]:
    calls = round(unit.per_minute * unit.seconds / 60)
    return (partial(Window, calls, unit.seconds + margin_s) for margin_s in MARGINS_S)


def for_fixed(unit: Fixed) -> Iterator[Making]:
    calls = round(unit.per_minute * unit.seconds / 60)
    return (partial(Clock, calls, unit.seconds, LATENCY_S / 2 - margin_s) for margin_s in MARGINS_S)


def for_in_flight(unit: InFlight) -> Iterator[Making]:
    """Either by the responses, or by how long a call lasts."""
    calls = round(unit.per_minute * unit.lasts_s / 60)
    yield partial(UnderWay, calls)
    for margin_s in MARGINS_S:
        yield partial(Window, calls, unit.lasts_s + margin_s)


def knowing(unit: Hidden) -> Iterator[Making]:
    """Senders that know this limit, each with another margin."""
    match unit:
        case Bucket():
            return for_bucket(unit)
        case Sliding():
            return for_sliding(unit)
        case Fixed():
            return for_fixed(unit)
        case InFlight():
            return for_in_flight(unit)
    raise TypeError(unit)


@dataclass
class Offer:
    """Calls that come by chance, so many a second. ``waits_s``: for how long one stays that cannot be sent.

    ``evenly``: they come at even gaps.
    """

    per_second: float
    seconds: float = 600
    waits_s: float = 0
    varies: float = VARIES
    evenly: bool = False


class _Run:
    """Events in virtual time, the next first."""

    def __init__(self, unit: Hidden, sender: Sender, offer: Offer, rng: random.Random) -> None:
        self.unit, self.sender, self.offer, self.rng = unit, sender, offer, rng
        self.seen = Seen()
        self._line: deque[float] = deque()
        self._ahead: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0
        self._turn = 0.0  # when the line is looked at next

    def run(self) -> Seen:
        self._at(self._gap_s(), self._comes)
        while self._ahead and self._ahead[0][0] < self.offer.seconds:
            when, _, then = heapq.heappop(self._ahead)
            then(when)
        return self.seen

    def _gap_s(self) -> float:
        return gap_s(self.offer.per_second, self.rng, evenly=self.offer.evenly)

    def _at(self, when: float, then: Callable[[float], None]) -> None:
        self._number += 1
        heapq.heappush(self._ahead, (when, self._number, then))

    def _comes(self, at: float) -> None:
        self._at(at + self._gap_s(), self._comes)
        self._line.append(at)
        self._serve(at)

    def _serve(self, at: float) -> None:
        """Send the calls that may be sent; of the others those stay whose turn comes while they wait."""
        while self._line:
            ready = self.sender.ready(at)
            if ready > at:
                break
            self._line.popleft()
            self.sender.sent(at)
            half_s = self.rng.uniform(1 - self.offer.varies, 1 + self.offer.varies) * LATENCY_S / 2
            self._at(at + half_s, partial(self._arrives, at))
        else:
            return
        known = ready < math.inf
        while self._line and self._line[0] + self.offer.waits_s <= (ready if known else at):
            self._line.popleft()
        if self._line and known and not at < self._turn <= ready:
            self._turn = ready
            self._at(ready, self._serve)

    def _arrives(self, sent: float, at: float) -> None:
        ran = not self.unit.wait_s(at)
        (self.seen.ran if ran else self.seen.turned_away).append(at)
        self._at(at + LATENCY_S / 2 + (self.unit.lasts_s if ran else 0), partial(self._ends, sent, ran))

    def _ends(self, sent: float, ran: bool, at: float) -> None:
        self.sender.ended(sent, ran=ran)
        self._serve(at)


def sent_by(sender: Sender, unit: Hidden, offer: Offer, rng: random.Random) -> Seen:
    """What happens to calls of this offer."""
    return _Run(unit, sender, offer, rng).run()


def best_use(making_unit: Callable[[], Hidden], offer: Offer, *, seeds: Sequence[int], since: float) -> float:
    """The largest share of the limit that a sender uses from ``since`` on at :data:`MAX_REQUESTS`, on average."""
    best, unit = 0.0, making_unit()
    whole = unit.per_minute / 60 * (offer.seconds - since)
    for making in knowing(unit):
        runs = [sent_by(making(), making_unit(), offer, random.Random(seed)) for seed in seeds]
        if sum(seen.requests_per_call() for seen in runs) <= MAX_REQUESTS * len(runs):
            ran = sum(seen.rate(since=since, until=offer.seconds, of=seen.ran) for seen in runs)
            best = max(best, ran / len(runs) / whole)
    return best
