"""How many credentials that are none may come from one caller: counted by each process alone, without the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from quota_platform.base import addresses
from quota_platform.base.lru import Lru

_CALLERS = 10_000
"""Remembered at a time; the caller that failed longest ago is forgotten first."""


@dataclass(slots=True)
class FailureCounts:
    """Since the start: calls with invalid credentials, and calls that were refused because of many such."""

    invalid: int = 0
    refused: int = 0


class Failures:
    """So many failures in so many seconds from an address, or from an IPv6 /64; they come back one by one."""

    def __init__(self, *, most: int, seconds: float = 60, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = seconds / most
        self._seconds = seconds
        self._clock = clock
        self._used_until: Lru[str, float] = Lru(_CALLERS)
        """Per caller: when the last of its failures is forgotten."""
        self.counts = FailureCounts()

    def wait_us(self, address: str) -> int:
        """0 when the caller may fail once more, else the µs until it may."""
        over = self._used(addresses.group(address)) + self._interval - self._seconds
        return max(1, int(over * 1_000_000)) if over > 1e-9 else 0

    def note(self, address: str) -> None:
        """A failure of this caller's. More than it had left, at the same time, are waited for afterwards."""
        group = addresses.group(address)
        self._used_until.put(group, self._used(group) + self._clock() + self._interval)
        self.counts.invalid += 1

    def refuse(self) -> None:
        """A call was turned away for :meth:`wait_us`."""
        self.counts.refused += 1

    def _used(self, group: str) -> float:
        """Seconds until all of the caller's failures are forgotten."""
        return max(0.0, (self._used_until.get(group) or 0.0) - self._clock())
