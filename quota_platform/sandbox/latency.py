"""How long the sandbox takes to answer: named profiles, or a fixed time."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Protocol

from quota_platform.sandbox.fields import ControlError, Fields

Z95, Z99 = 1.6449, 2.3263
LONGEST_MS = 60_000.0


class Latency(Protocol):
    """One way to take time. ``elapsed_s``: since the profile was set; ``in_flight``: calls, this one included."""

    def draw_ms(self, rng: random.Random, *, elapsed_s: float, in_flight: int) -> float: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same time for every call; infinity holds the call until it is let go."""

    ms: float

    def draw_ms(self, rng: random.Random, *, elapsed_s: float, in_flight: int) -> float:
        return self.ms


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Skewed to the right, as response times are, through the three quantiles given.

    A log-normal curve has two parameters and cannot meet three quantiles, so the logarithm is a broken line over the
    normal quantile: one slope up to p95 and another beyond.
    """

    p50: float
    p95: float
    p99: float

    def draw_ms(self, rng: random.Random, *, elapsed_s: float, in_flight: int) -> float:
        return self.at(rng.gauss(0.0, 1.0))

    def at(self, z: float) -> float:
        """The latency at the standard normal quantile ``z``."""
        low, middle, high = math.log(self.p50), math.log(self.p95), math.log(self.p99)
        upper = (z - Z95) / (Z99 - Z95)
        exponent = low + (middle - low) * z / Z95 if z <= Z95 else middle + (high - middle) * upper
        return min(LONGEST_MS, math.exp(exponent))


@dataclass(frozen=True, slots=True)
class Bimodal:
    """Mostly one profile, now and then another."""

    usual: Latency
    rare: Latency
    rare_share: float = 0.05

    def draw_ms(self, rng: random.Random, *, elapsed_s: float, in_flight: int) -> float:
        which = self.rare if rng.random() < self.rare_share else self.usual
        return which.draw_ms(rng, elapsed_s=elapsed_s, in_flight=in_flight)


@dataclass(frozen=True, slots=True)
class Ramp:
    """Rises to ``factor`` times the base over ``ramp_s``, stays for ``hold_s``, and goes back as it came."""

    base: Latency
    factor: float = 10.0
    ramp_s: float = 60.0
    hold_s: float = 60.0

    def draw_ms(self, rng: random.Random, *, elapsed_s: float, in_flight: int) -> float:
        return self.base.draw_ms(rng, elapsed_s=elapsed_s, in_flight=in_flight) * self.times(elapsed_s)

    def times(self, elapsed_s: float) -> float:
        """What the base is multiplied by at this moment."""
        down = elapsed_s - self.ramp_s - self.hold_s
        share = min(elapsed_s, self.ramp_s) / self.ramp_s if down <= 0 else 1 - down / self.ramp_s
        return 1 + (self.factor - 1) * max(0.0, share)


@dataclass(frozen=True, slots=True)
class Load:
    """Grows with the caller's own concurrency, as a queue does: base / (1 - in flight / capacity)."""

    base: Latency
    capacity: float = 100.0

    def draw_ms(self, rng: random.Random, *, elapsed_s: float, in_flight: int) -> float:
        # Full is 100 times the base, not infinite: a queue that never moves could not show a recovery.
        spare = max(0.01, 1 - in_flight / self.capacity)
        return min(LONGEST_MS, self.base.draw_ms(rng, elapsed_s=elapsed_s, in_flight=in_flight) / spare)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any time between two ends, all alike."""

    low: float
    high: float

    def draw_ms(self, rng: random.Random, *, elapsed_s: float, in_flight: int) -> float:
        return rng.uniform(self.low, self.high)


FAST = LogNormal(40, 90, 150)
TYPICAL = LogNormal(120, 400, 1200)
PROFILES: dict[str, Latency] = {
    "instant": Fixed(0.0),
    "fast": FAST,
    "typical": TYPICAL,
    "slow": LogNormal(800, 2500, 6000),
    "bimodal": Bimodal(FAST, Fixed(5000.0)),
    "ramp": Ramp(TYPICAL),
    "load": Load(FAST),
    "stall": Fixed(math.inf),
    "longpoll": Uniform(0.0, 60_000.0),
    "token": LogNormal(150, 500, 1500),
}


@dataclass(slots=True)
class Setting:
    """The latency in force in one place, under the name it was set by, and since when."""

    label: str
    latency: Latency
    since: float = 0.0
    instant: bool = field(init=False)

    def __post_init__(self) -> None:
        self.instant = self.latency == PROFILES["instant"]

    def draw_ms(self, rng: random.Random, *, now: float, in_flight: int) -> float:
        if self.instant:
            return 0.0
        return self.latency.draw_ms(rng, elapsed_s=now - self.since, in_flight=in_flight)


def named(name: str, *, now: float = 0.0) -> Setting:
    """The profile of that name, in force from ``now``."""
    if name not in PROFILES:
        raise ControlError("profile", problem=f"{name!r} is unknown.", remedy=f"Known: {', '.join(PROFILES)}.")
    return Setting(name, PROFILES[name], now)


def read(fields: Fields, *, now: float) -> Setting:
    """The setting a control request asks for: ``{"ms": 200}`` or ``{"profile": "ramp", "ramp_seconds": 20}``."""
    if "ms" in fields:
        ms = fields.number("ms", low=0, high=600_000)
        return Setting(f"{ms:g} ms", Fixed(ms), now)
    setting = named(fields.text("profile", choices=PROFILES), now=now)
    base = _base(fields)
    if isinstance(setting.latency, Ramp):
        setting.latency = Ramp(
            base or TYPICAL,
            factor=fields.number("factor", low=1, high=1000, default=10),
            ramp_s=fields.number("ramp_seconds", low=0.001, high=3600, default=60),
            hold_s=fields.number("hold_seconds", low=0, high=3600, default=60),
        )
    elif isinstance(setting.latency, Load):
        setting.latency = Load(base or FAST, capacity=fields.whole("capacity", low=1, high=100_000, default=100))
    elif isinstance(setting.latency, Bimodal):
        share = fields.number("rare_share", low=0, high=1, default=0.05)
        rare_ms = fields.number("rare_ms", low=0, high=600_000, default=5000)
        setting.latency = Bimodal(base or FAST, Fixed(rare_ms), rare_share=share)
    return setting


def _base(fields: Fields) -> Latency | None:
    if "base_ms" in fields:
        return Fixed(fields.number("base_ms", low=0, high=600_000))
    name = fields.maybe_text("base", choices=("instant", "fast", "typical", "slow"))
    return PROFILES[name] if name else None
