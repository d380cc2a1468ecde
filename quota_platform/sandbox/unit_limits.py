"""The limiter hidden inside the sandbox: what a business unit bears, counted over all of its callers."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from quota_platform.sandbox.fields import ControlError, Fields
from quota_platform.sandbox.pushback import FLAVOURS

PRESETS: dict[str, dict[str, Any]] = {
    "digital": {"per_minute": 17.0, "burst": 250, "per_contact": True},
    "data_extraction": {"per_minute": 2.0, "burst": 1},
    "studio": {"concurrency": 100, "queue": True},
    "genesys": {"per_minute": 300.0, "burst": 300, "flavour": "genesys"},
}
WINDOWS = ("fixed", "sliding")
KEEP = 10_000


@dataclass(frozen=True, slots=True)
class UnitLimit:
    """A rate with a burst, a cap on calls in flight, or both. ``queue``: calls over the cap wait instead of failing.

    ``window``: ``fixed`` or ``sliding``, of ``window_seconds``, takes the place of the burst.
    """

    per_minute: float | None = None
    burst: int = 1
    window: str = ""
    window_seconds: float = 60.0
    concurrency: int | None = None
    queue: bool = False
    per_contact: bool = False
    flavour: str = "bare"


@dataclass(slots=True)
class Bucket:
    """One token bucket or window, and the calls in flight beside it."""

    limit: UnitLimit
    level: float
    filled_at: float
    in_flight: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    taken: deque[float] = field(default_factory=deque)
    """When the units in the window were taken."""

    def wait_s(self, now: float) -> float:
        """Take one unit and return 0, or take none and return the seconds until there is one."""
        if self.limit.per_minute is None:
            return 0.0
        if self.limit.window:
            return self._window_wait_s(now, self.limit.per_minute)
        per_second = self.limit.per_minute / 60
        self.level = min(self.limit.burst, self.level + max(0.0, now - self.filled_at) * per_second)
        self.filled_at = now
        if self.level < 1 - 1e-9:
            return (1 - self.level) / per_second
        self.level -= 1
        return 0.0

    def _window_wait_s(self, now: float, per_minute: float) -> float:
        """As :meth:`wait_s`: at most so many in the window that began last, or in any."""
        length = self.limit.window_seconds
        most = max(1, round(per_minute * length / 60))
        began = math.floor(now / length) * length if self.limit.window == "fixed" else now - length
        while self.taken and (self.taken[0] < began or self.taken[0] <= now - length):
            self.taken.popleft()
        if len(self.taken) >= most:
            return (began if self.limit.window == "fixed" else self.taken[-most]) + length - now
        self.taken.append(now)
        return 0.0


@dataclass(slots=True)
class Pass:
    """The limiter's verdict: admitted into ``bucket``, or refused for ``wait_s``."""

    bucket: Bucket | None = None
    wait_s: float = 0.0
    flavour: str = "bare"
    limit: int = 0
    turn: asyncio.Future[None] | None = None


class UnitLimits:
    """All limits in force. Without any, :meth:`enter` is never called."""

    def __init__(self) -> None:
        self._everyone: UnitLimit | None = None
        self._units: dict[int, UnitLimit] = {}
        self._buckets: dict[tuple[int, str], Bucket] = {}

    def __bool__(self) -> bool:
        return self._everyone is not None or bool(self._units)

    def put(self, fields: Fields) -> None:
        """Set or lift the limit of one unit, or of every unit without one of its own."""
        unit = fields.maybe_whole("unit", low=1_000_000, high=9_999_999)
        limit = None if fields.flag("off", default=False) else _read(fields)
        fields.done()
        self._buckets.clear()
        if unit is None:
            self._everyone = limit
        elif limit is None:
            self._units.pop(unit, None)
        else:
            self._units[unit] = limit

    def clear(self) -> None:
        self._everyone = None
        self._units.clear()
        self._buckets.clear()

    def enter(self, unit: int, *, what: str, now: float) -> Pass:
        """Let one call in, have it wait for its turn, or refuse it. ``what``: the contact or action it is about."""
        limit = self._units.get(unit, self._everyone)
        if limit is None:
            return Pass()
        bucket = self._bucket(limit, unit, what=what if limit.per_contact else "", now=now)
        full = limit.concurrency is not None and bucket.in_flight >= limit.concurrency
        if full and not limit.queue:
            return Pass(wait_s=1.0, flavour=limit.flavour, limit=limit.concurrency or 0)
        if wait_s := bucket.wait_s(now):
            return Pass(wait_s=wait_s, flavour=limit.flavour, limit=math.ceil(limit.per_minute or 0))
        if full:
            turn = asyncio.get_running_loop().create_future()
            bucket.waiting.append(turn)
            return Pass(bucket=bucket, turn=turn)
        bucket.in_flight += 1
        return Pass(bucket=bucket)

    def leave(self, admitted: Pass) -> None:
        """The call has been answered or its caller has gone: give its place to the next in the queue."""
        bucket = admitted.bucket
        if bucket is None:
            return
        turn = admitted.turn
        if turn is not None and (turn.cancelled() or not turn.done()):
            turn.cancel()
            return
        while bucket.waiting:
            following = bucket.waiting.popleft()
            if not following.done():
                following.set_result(None)
                return
        bucket.in_flight -= 1

    def public(self) -> dict[str, Any]:
        everyone = None if self._everyone is None else asdict(self._everyone)
        return {"everyone": everyone, "units": {str(unit): asdict(limit) for unit, limit in self._units.items()}}

    def _bucket(self, limit: UnitLimit, unit: int, *, what: str, now: float) -> Bucket:
        bucket = self._buckets.get((unit, what))
        if bucket is None:
            if len(self._buckets) >= KEEP:
                self._buckets.pop(next(iter(self._buckets)))
            bucket = self._buckets[unit, what] = Bucket(limit, float(limit.burst), now)
        return bucket


def _read(fields: Fields) -> UnitLimit:
    preset = fields.maybe_text("preset", choices=PRESETS)
    given: dict[str, Any] = dict(PRESETS[preset]) if preset else {}
    if per_minute := fields.maybe_number("per_minute", low=0.001, high=100_000_000):
        given["per_minute"] = per_minute
        given.setdefault("burst", max(1, math.ceil(per_minute / 60)))
    if burst := fields.maybe_whole("burst", low=1, high=100_000_000):
        given["burst"] = burst
    if window := fields.maybe_text("window", choices=WINDOWS):
        given["window"] = window
        given["window_seconds"] = fields.number("window_seconds", low=0.001, high=86_400, default=60)
    if concurrency := fields.maybe_whole("concurrency", low=1, high=1_000_000):
        given["concurrency"] = concurrency
    given["queue"] = fields.flag("queue", default=given.get("queue", False))
    given["per_contact"] = fields.flag("per_contact", default=given.get("per_contact", False))
    given["flavour"] = fields.text("flavour", default=given.get("flavour", "bare"), choices=FLAVOURS)
    if given.get("per_minute") is None and given.get("concurrency") is None:
        raise ControlError(
            "per_minute",
            problem="There is nothing to limit.",
            remedy='Send "per_minute", "concurrency" or "off": true.',
        )
    return UnitLimit(**given)
