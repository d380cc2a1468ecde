"""A simulated unit: servers that work off one queue, as time passes and as a scenario disturbs them.

Times are whole microseconds of the simulation's clock. ``t``: seconds since the disturbance began, negative before.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

S = 1_000_000


@dataclass(frozen=True, slots=True)
class Unit:
    """``servers`` at once, each call ``service_ms`` long on average (lognormal), while nothing disturbs them.

    ``rate``: calls a second that its tenants make.
    """

    servers: int = 4
    service_ms: float = 200.0
    cv: float = 0.6
    rate: float = 15.0


SMALL = Unit()
LARGE = Unit(servers=10, cv=1.0, rate=35.0)
"""Twice as wide and more erratic: nothing was tuned on it."""


def _as_ever(t: float) -> float:
    return 1.0


def _at_once(t: float, chance: random.Random) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to a unit. Factors of its usual self; ``delay_ms``: more per response, holding no server.

    ``max_queue``: calls that wait at most, the others get a 503 at once; None: any number. ``load``: its latency comes
    from load, so that a limit can help. ``noisy``: how many times its share one tenant of ten calls.
    """

    name: str
    what: str
    disturbed_s: int = 300
    warm_s: int = 120
    after_s: int = 120
    load: bool = True
    demand: Callable[[float], float] = _as_ever
    servers: Callable[[float], float] = _as_ever
    stretch: Callable[[float], float] = _as_ever
    delay_ms: Callable[[float, random.Random], float] = _at_once
    max_queue: int | None = None
    unit: Unit = SMALL
    noisy: float = 1.0

    @property
    def ends_s(self) -> int:
        return self.warm_s + self.disturbed_s + self.after_s


class Call(NamedTuple):
    """One call that a tenant makes, and the time it takes."""

    at_us: int
    service_us: int
    delay_us: int
    tenant: int


def calls(scenario: Scenario, seed: int) -> list[Call]:
    """The same for every controller."""
    chance, unit = random.Random(seed), scenario.unit
    sigma = math.sqrt(math.log(1 + unit.cv**2))
    mu = math.log(unit.service_ms) - sigma**2 / 2
    tenants = (0,) * round(scenario.noisy) + tuple(range(1, 10))
    peak = (
        unit.rate
        * len(tenants)
        / 10
        * max(scenario.demand(t) for t in range(-scenario.warm_s, scenario.disturbed_s + scenario.after_s))
    )
    made, now = [], 0.0
    while (now := now + chance.expovariate(peak)) < scenario.ends_s:
        t = now - scenario.warm_s
        if chance.random() * peak < unit.rate * len(tenants) / 10 * scenario.demand(t):
            service_ms = chance.lognormvariate(mu, sigma)
            delay_ms = scenario.delay_ms(t, chance)
            made.append(Call(int(now * S), int(service_ms * 1000), int(delay_ms * 1000), chance.choice(tenants)))
    return made
