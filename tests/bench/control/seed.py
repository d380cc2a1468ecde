"""The seed's rule on a window, a bucket and calls in flight, in pure Python: sample for sample as the scripts."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

from limiter.core.adaptive import AdaptiveSettings, Sample, assess
from limiter.core.store import EVERY_MS
from limiter.core.types import PPM
from tests.bench.control.unit import S

WINDOW_S, PER_S, BURST, IN_FLIGHT = 60, 20, 20, 16
"""Twenty calls a second, of a window or a bucket; and as many in flight, by Little's law."""


class Count(Protocol):
    """What a limit has counted."""

    def take(self, now_us: int, ppm: int) -> bool:
        """Count a call if there is room while the limit is cut to so many millionths."""

    def give_back(self) -> None:
        """A call has ended."""


def _cut(units: int, ppm: int) -> int:
    return max(1, units * ppm // PPM)


class Window:
    def __init__(self) -> None:
        self._admitted: deque[int] = deque()

    def take(self, now_us: int, ppm: int) -> bool:
        while self._admitted and self._admitted[0] <= now_us - WINDOW_S * S:
            self._admitted.popleft()
        if len(self._admitted) >= _cut(WINDOW_S * PER_S, ppm):
            return False
        self._admitted.append(now_us)
        return True

    def give_back(self) -> None: ...


class Bucket:
    def __init__(self) -> None:
        self._debt, self._at_us = 0, 0

    def take(self, now_us: int, ppm: int) -> bool:
        quota, burst = _cut(PER_S, ppm), _cut(BURST, ppm)
        debt = max(0, self._debt - (now_us - self._at_us) * quota)
        if debt > (burst - 1) * S:
            return False
        self._debt, self._at_us = debt + S, now_us
        return True

    def give_back(self) -> None: ...


class Slots:
    def __init__(self) -> None:
        self._held = 0

    def take(self, now_us: int, ppm: int) -> bool:
        if self._held >= _cut(IN_FLIGHT, ppm):
            return False
        self._held += 1
        return True

    def give_back(self) -> None:
        self._held -= 1


class Seed:
    """One multiplier for all tenants."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._settings = AdaptiveSettings()
        self._samples: deque[Sample] = deque(maxlen=self._settings.sample_size)
        self._ppm, self._due_us, self._ends_us = PPM, 0, math.inf

    def admit(self, now_us: int, call: int, tenant: int) -> bool:
        if now_us >= self._ends_us:
            self._ppm, self._ends_us = PPM, math.inf
        return self._count.take(now_us, self._ppm)

    def ended(self, now_us: int, call: int, tenant: int, latency_us: int | None, *, pushed_back: bool) -> None:
        self._count.give_back()
        if latency_us is None:
            return
        self._samples.append(Sample(now_us, latency_us))
        if now_us < self._due_us:
            return
        self._due_us = now_us + EVERY_MS * 1000
        evidence = assess(tuple(self._samples), self._settings, now_us=now_us)
        self._ppm = evidence.multiplier_ppm
        self._ends_us = now_us + evidence.fresh_for_us if self._ppm < PPM else math.inf

    def tick(self, now_us: int) -> None: ...
