"""This worker's calls that are in flight for longer than the threshold of their multiplier, reported while they are."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable
from typing import NamedTuple

from limiter.core import overdue
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.store import Store
from limiter.core.window import MultiplierScope
from limiter.gateway.assessor import Assessor
from limiter.gateway.background import Background
from limiter.stores.errors import StoreError
from limiter.upstream.call import Flight
from quota_platform.base.ids import new_id

EVERY_S, _SOON_S = 0.25, 0.05
_AT_ONCE = 50
"""Multipliers that one round reports at most, so that a dead unit of many tenants bounds its cost."""


class _Late(NamedTuple):
    """The ages of one multiplier's overdue calls, and by which settings they are."""

    settings: AdaptiveSettings
    ages_us: list[int]


class Overdue:
    """One per worker and event loop."""

    def __init__(self, store: Store, assessor: Assessor, *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._assessor = assessor
        self._every_s = every_s
        self._worker = new_id()
        self._flights: dict[Flight, tuple[MultiplierScope, AdaptiveSettings]] = {}
        self._reported: dict[MultiplierScope, AdaptiveSettings] = {}
        self._timer: asyncio.Handle | None = None
        self._soon = False
        self._running = Background()

    def began(self, flight: Flight, scope: MultiplierScope, settings: AdaptiveSettings) -> None:
        """A call is on its way."""
        self._flights[flight] = scope, settings
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every_s, self._look)

    def ended(self, flight: Flight) -> None:
        """Its response has begun, or there is none. If it was reported, the report is replaced soon."""
        scope, _ = self._flights.pop(flight, (None, None))
        if scope in self._reported and not self._soon:
            self._soon = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(_SOON_S, self._look)

    async def close(self) -> None:
        """No more reports; those that were made end by themselves."""
        if self._timer is not None:
            self._timer.cancel()
        await self._running.drain()

    def _look(self) -> None:
        self._timer, self._soon = None, False
        if not self._running.busy:  # else a report could overtake an earlier one
            self._replace(self._late(time.perf_counter_ns()))
        if self._flights or self._reported:
            self._timer = asyncio.get_running_loop().call_later(self._every_s, self._look)

    def _replace(self, late: dict[MultiplierScope, _Late]) -> None:
        gone = [(scope, _Late(settings, [])) for scope, settings in self._reported.items() if scope not in late]
        self._reported = {scope: found.settings for scope, found in late.items()}
        if gone or late:
            self._running.start(self._report([*gone, *_some(late.items())]))

    def _late(self, now_ns: int) -> dict[MultiplierScope, _Late]:
        found: dict[MultiplierScope, _Late] = {}
        for flight, (scope, settings) in self._flights.items():
            age_us = (now_ns - flight.sent_ns) // 1_000 if flight.sent_ns else 0
            if age_us > settings.latency_threshold_ms * 1_000:
                found.setdefault(scope, _Late(settings, [])).ages_us.append(age_us)
        return found

    async def _report(self, reports: Iterable[tuple[MultiplierScope, _Late]]) -> None:
        """A report that the store cannot take now is made again in the next round."""
        for scope, (settings, ages_us) in reports:
            with contextlib.suppress(StoreError):
                recorded = await overdue.report(
                    self._store,
                    scope,
                    ages_us,
                    worker=self._worker,
                    settings=settings,
                    every_ms=self._assessor.every_ms,
                )
                if recorded.assess_in_ms is not None:
                    self._assessor.later(scope, recorded.assess_in_ms)


def _some(late: Iterable[tuple[MultiplierScope, _Late]]) -> list[tuple[MultiplierScope, _Late]]:
    found = list(late)
    return found if len(found) <= _AT_ONCE else random.sample(found, _AT_ONCE)
