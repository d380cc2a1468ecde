"""Controllers of calls in flight, in pure Python, on the simulation's clock. The product's is the rule itself."""

from __future__ import annotations

import math
import statistics
from collections import deque
from itertools import islice

from limiter.core import learning
from limiter.core.ends import KEPT_AGES, KEPT_ENDS, End, LearningSettings, Seen, kept_us
from limiter.core.learned import State
from tests.bench.control.scores import THRESHOLD_US
from tests.bench.control.unit import S

SETTINGS = LearningSettings(threshold_us=THRESHOLD_US, max_in_flight=1_000)


class InFlight:
    """A limit of calls in flight that nothing moves."""

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit
        self.running: dict[int, int] = {}

    def admit(self, now_us: int, call: int, tenant: int) -> bool:
        if len(self.running) + 1 > self.limit:
            return False
        self.running[call] = now_us
        return True

    def ended(self, now_us: int, call: int, tenant: int, latency_us: int | None, *, pushed_back: bool) -> None:
        in_flight = len(self.running)
        del self.running[call]
        self.heard(End(now_us, latency_us, pushed_back, in_flight))

    def heard(self, end: End) -> None:
        """A call has ended."""

    def tick(self, now_us: int) -> None: ...


class Learned(InFlight):
    """The product's rule, stepped as the scripts step it: after an end, at most every half second."""

    def __init__(self, settings: LearningSettings = SETTINGS) -> None:
        super().__init__(settings.max_in_flight)
        self.state = State()
        self.states: list[State] = []
        self._settings = settings
        self._ends: deque[End] = deque(maxlen=KEPT_ENDS)
        self._due_us = 0

    def heard(self, end: End) -> None:
        self._ends.append(end)
        self._step(end.at_us)

    def tick(self, now_us: int) -> None:
        if self.running:
            self._step(now_us)

    def _step(self, now_us: int) -> None:
        if now_us < self._due_us:
            return
        self._due_us = now_us + learning.EVERY_MS * 1000
        while self._ends and self._ends[0].at_us <= now_us - kept_us(self._settings):
            self._ends.popleft()
        ages = [now_us - started for started in islice(self.running.values(), KEPT_AGES)]
        self.state = learning.step(self.state, Seen(now_us, len(self.running), ages, self._ends), self._settings)
        self.states.append(self.state)
        self.limit = self.state.allowed(self._settings)


class Gradient(InFlight):
    """As Netflix's Gradient2: the limit by the long average of latency over that of now."""

    def __init__(self, *, queue: float = 4, tolerance: float = 1.5, least: float = 4, smoothing: float = 0.2) -> None:
        super().__init__(20)
        self._queue, self._tolerance, self._least, self._smoothing = queue, tolerance, least, smoothing
        self._long = 0.0
        self._estimate = 20.0

    def heard(self, end: End) -> None:
        if end.latency_us is None:
            return
        self._long += (end.latency_us - self._long) * (2 / 601 if self._long else 1)
        if self._long / end.latency_us > 2:
            self._long *= 0.95
        if end.in_flight < self._estimate / 2:
            return
        gradient = max(0.5, min(1.0, self._tolerance * self._long / end.latency_us))
        aim = self._estimate * gradient + self._queue
        self._estimate = max(self._least, min(1000.0, self._estimate + (aim - self._estimate) * self._smoothing))
        self.limit = int(self._estimate)


class Probing(InFlight):
    """As Envoy's gradient controller: the latency of now over the least, measured with few in flight now and then."""

    def __init__(self, *, every_s: float = 60, few: int = 3, ends: int = 25, buffer: float = 0.25) -> None:
        super().__init__(100)
        self._every_us, self._few, self._wanted, self._buffer = int(every_s * S), few, ends, buffer
        self._least_us = 0.0
        self._probe_us, self._since_us = 0, 0
        self._probing: list[int] | None = []
        self._window: list[int] = []
        self._resume = 100.0

    def heard(self, end: End) -> None:
        if end.latency_us is None:
            return
        if self._probing is not None:
            self.limit = self._few
            if end.at_us - end.latency_us >= self._probe_us:
                self._probing.append(end.latency_us)
            if len(self._probing) >= self._wanted:
                self._least_us, self._probing, self.limit = statistics.median(self._probing), None, self._resume
                self._window, self._since_us = [], end.at_us
            return
        self._window.append(end.latency_us)
        if end.at_us - self._since_us >= S and len(self._window) >= 5:
            gradient = self._least_us * (1 + self._buffer) / statistics.median(self._window)
            self._resume = max(
                float(self._few), min(1000.0, self.limit * max(0.5, min(2.0, gradient)) + self.limit**0.5)
            )
            self.limit = self._resume
            self._window, self._since_us = [], end.at_us
        if end.at_us - self._probe_us > self._every_us:
            self._probe_us, self._probing = end.at_us, []


class Trial(InFlight):
    """The test "did cutting help?" alone, as it was first described: steps of -20 % and +4 %, a lossy cut undone."""

    def __init__(self, *, first: float = 0.5, up: float = 1.04, down: float = 0.8, lost: float = 0.85) -> None:
        super().__init__(1_000)
        self._first, self._up, self._down, self._lost = first, up, down, lost
        self._ends: deque[End] = deque(maxlen=KEPT_ENDS)
        self._mode, self._due_us, self._since_us, self._slow_us = "whole", 0, 0, 0
        self._normal = 0.0
        self._next_us, self._every_us = 0, 60 * S
        self._was: tuple[float, float] | None = None

    def heard(self, end: End) -> None:
        self._ends.append(end)
        if end.at_us < self._due_us:
            return
        now = end.at_us
        self._due_us = now + S
        lately = [each for each in self._ends if each.at_us > now - 3 * S and each.latency_us is not None]
        latencies = sorted(each.latency_us or 0 for each in lately)
        if len(latencies) < 5:
            return
        median, p95 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.95)]
        slow = p95 > THRESHOLD_US
        self._slow_us = (self._slow_us or now) if slow else 0
        rate = len(latencies) / 3
        if self._mode == "whole":
            self._whole(now, slow, median)
        elif self._mode == "trial":
            self._judge(now, rate)
        else:
            self._step(now, slow, rate, median)

    def _whole(self, now: int, slow: bool, median: float) -> None:
        if not slow:
            self._normal += (median - self._normal) * (0.02 if self._normal else 1)
        elif now - self._slow_us >= 3 * S and median > 1.5 * self._normal and now >= self._next_us:
            self._mode, self._since_us = "trial", now
            self.limit = max(1, len(self.running) / 2)

    def _judge(self, now: int, rate: float) -> None:
        ended = [(end.at_us - end.latency_us, end.latency_us) for end in self._ends if end.latency_us]
        fresh = [latency for started, latency in ended if started >= self._since_us]
        if len(fresh) >= 10:
            before = [latency for started, latency in sorted(ended) if started < self._since_us][-10:]
            if statistics.median(fresh) <= 0.7 * statistics.median(before or [0]):
                self._mode, self._every_us, self._was = "steps", 60 * S, None
                self.limit = max(1.0, min(self.limit, rate * THRESHOLD_US / S * self._first))
                return
            self._mode, self.limit = "whole", 1_000
            self._next_us, self._every_us = now + self._every_us, self._every_us * 2

    def _step(self, now: int, slow: bool, rate: float, median: float) -> None:
        if self._was and rate < self._lost * self._was[1]:
            self.limit, self._was = self._was[0], None
        elif slow and median > 1.5 * self._normal:
            self._was = (self.limit, rate)
            self.limit = max(1.0, self.limit * self._down)
        elif not slow:
            self._was = None
            self.limit *= self._up
            if self.limit > 1_000:
                self._mode, self.limit = "whole", 1_000
