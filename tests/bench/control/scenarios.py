"""What may happen to a unit."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.bench.control.unit import LARGE, Scenario

_MINUTES = 60


def _while(disturbed_s: float, factor: float) -> Callable[[float], float]:
    return lambda t: factor if 0 <= t < disturbed_s else 1.0


def _ramp(t: float) -> float:
    """To 2.5 times and back within 300 s."""
    return 1 + 1.5 * max(0.0, 1 - abs(t - 150) / 150)


def _bursts(t: float) -> float:
    if not 0 <= t < 300:
        return 1.0
    return 50 / 15 if t % 30 < 5 else 8 / 15


def _slower(ms: float, share: float = 1.0) -> Callable[[float, random.Random], float]:
    return lambda t, chance: ms if 0 <= t < 300 and chance.random() < share else 0.0


def _breathing(t: float) -> float:
    """Between all of it and 40 %, once in two minutes."""
    return 1.0 if not 0 <= t < 300 or t % 120 < 60 else 0.4


ALL = (
    Scenario("halved", "half of the servers gone for 30 minutes", 30 * _MINUTES, servers=_while(1800, 0.5)),
    Scenario("halved-5", "half of the servers gone for 5 minutes", servers=_while(300, 0.5)),
    Scenario("ramp", "service time rises to 2.5 times and falls again", stretch=_ramp),
    Scenario("push", "half gone, at most 20 calls queue, more get a 503", servers=_while(300, 0.5), max_queue=20),
    Scenario("bursts", "50 calls a second for 5 s of every 30, else 8", demand=_bursts),
    Scenario("breathing", "40 % of the capacity every other minute", servers=_breathing),
    Scenario("quarter", "a quarter of the capacity is left", servers=_while(300, 0.25)),
    Scenario("later", "600 ms more on each response", load=False, delay_ms=_slower(600)),
    Scenario("much-later", "2,000 ms more on each response", load=False, delay_ms=_slower(2000)),
    Scenario("one-in-20", "5 % of responses take 5 s more", load=False, delay_ms=_slower(5000, 0.05)),
    Scenario("one-in-100", "1 % of responses take 10 s more", load=False, delay_ms=_slower(10_000, 0.01)),
    Scenario("steady", "nothing", load=False),
    Scenario("stall", "no call is worked on for 20 s", 20, load=False, servers=_while(20, 0.0)),
    Scenario("small", "100 calls a minute; half of the servers gone", servers=_while(300, 0.5), demand=lambda t: 1 / 9),
    Scenario(
        "small-late", "100 calls a minute; 2,000 ms more", load=False, delay_ms=_slower(2000), demand=lambda t: 1 / 9
    ),
    Scenario("wide-halved", "ten servers, erratic; half gone", servers=_while(300, 0.5), unit=LARGE),
    Scenario("wide-later", "the same; 1,000 ms more", load=False, delay_ms=_slower(1000), unit=LARGE),
    Scenario(
        "wide-1-in-15", "the same; 1 in 15 takes 4 s more", load=False, delay_ms=_slower(4000, 1 / 15), unit=LARGE
    ),
    Scenario("noisy", "half gone; one of ten tenants makes four times its calls", servers=_while(300, 0.5), noisy=4.0),
)
BY_NAME = {each.name: each for each in ALL}
