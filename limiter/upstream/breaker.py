"""A circuit breaker: while too many of a connection's recent calls fail, further ones are refused at once.

One per connection and worker. Closed: calls pass and are counted in slices of the window. Open: refused until the
cool-down is over. Half-open: one call, the probe, passes; its outcome closes the breaker or opens it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum

from limiter.upstream.errors import BreakerOpen
from tenants.directory import ConnectionSpec

SLICES = 10


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """``monotonic``: seconds, from any start."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._percent = 0
        self._min_calls = 1
        self._cooldown_s = 1.0
        self._slice_s = 1.0
        self._slices: deque[list[int]] = deque([[0, 0, 0]], maxlen=SLICES)
        """[number of the slice, calls, failures], newest last."""
        self._open_until: float | None = None
        self._probing = False

    def configure(self, connection: ConnectionSpec) -> None:
        """Take the connection's settings; the counts stay."""
        self._percent = connection.breaker_failure_percent
        self._min_calls = connection.breaker_min_calls
        self._cooldown_s = connection.breaker_cooldown_s
        if self._slice_s != connection.breaker_window_s / SLICES:
            self._slice_s = connection.breaker_window_s / SLICES
            self._slices = deque([[0, 0, 0]], maxlen=SLICES)

    @property
    def state(self) -> BreakerState:
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._monotonic() < self._open_until else BreakerState.HALF_OPEN

    def admit(self) -> bool:
        """Let a call pass, True when it is the probe; raises :class:`~limiter.upstream.errors.BreakerOpen`."""
        if self._open_until is None:
            return False
        left = self._open_until - self._monotonic()
        if left > 0 or self._probing:
            raise BreakerOpen(
                "Too many recent calls to the upstream failed; nothing was sent.",
                retry_after_us=max(1_000_000, int(left * 1_000_000)),
            )
        self._probing = True
        return True

    def record(self, *, failed: bool, probe: bool) -> None:
        """Count the outcome of one attempt. Those that were under way when the breaker opened change nothing."""
        if probe:
            self._probing = False
            self._open_until = self._monotonic() + self._cooldown_s if failed else None
            self._slices = deque([[0, 0, 0]], maxlen=SLICES)
        elif self._open_until is None:
            current = self._slices[-1]
            number = int(self._monotonic() / self._slice_s)
            if current[0] != number:
                current = [number, 0, 0]
                self._slices.append(current)
            current[1] += 1
            if failed:
                current[2] += 1
                self._judge(number)

    def abandon(self) -> None:
        """The probe ended without telling anything about the upstream: the next call is the probe."""
        self._probing = False

    def _judge(self, number: int) -> None:
        live = [entry for entry in self._slices if entry[0] > number - SLICES]
        calls, failures = sum(entry[1] for entry in live), sum(entry[2] for entry in live)
        if self._percent and calls >= self._min_calls and failures * 100 >= calls * self._percent:
            self._open_until = self._monotonic() + self._cooldown_s
