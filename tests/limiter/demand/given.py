"""Demand that the tests of its record speak of: Acme's calls in a minute, and workers that counted them."""

from __future__ import annotations

import random

from limiter.core.store import Store
from limiter.core.types import Decision, LimitState, Subject
from limiter.core.window import Stack, bind
from limiter.demand.points import Calls, Demand, Level
from limiter.demand.recorder import DemandRecorder
from tests.limiter.core.given import T0, S, log

SECOND = T0 // S
LOOK_UP = ("lookupOrder", "ab12cd34")
OF_TENANT = ("", "minute")


def a_minute() -> Demand:
    """Calls of two keys, one of which is refused for a while, at a cut limit."""
    return Demand(
        {
            LOOK_UP: {SECOND + second: Calls(allowed=second % 7, units=second % 7) for second in range(0, 60, 2)},
            ("createCase", ""): {SECOND + 59: Calls(3, 300, 2, 1, 4, 2, units=70_000, refused_units=302)},
        },
        {OF_TENANT: {SECOND + second: Level(100 + second, 372, 600, second // 50) for second in range(60)}},
    )


def busy(actions: int, seconds: int, *, start: int = SECOND) -> Demand:
    """Calls in every second, as different from each other as real ones."""
    chance = random.Random(actions * seconds)
    demand = Demand()
    for number in range(actions):
        of = demand.calls[f"action{number}", "ab12cd34"] = {}
        levels = demand.limits[f"action{number}", "minute"] = {}
        for second in range(start, start + seconds):
            allowed, refused = chance.randint(1, 400), chance.choice((0, 0, 0, chance.randint(1, 200)))
            of[second] = Calls(allowed, refused, units=allowed, refused_units=refused)
            levels[second] = Level(chance.randint(1, 600), 600, 600, refused)
    return demand


def a_stack(
    *, tenant: str = "acme", action: str = "lookupOrder", alert_at: tuple[int, ...] = (), connection: int = 1
) -> Stack:
    limit = log(100, policy_name="Gold", policy_version=7, alert_at=alert_at)
    subject = Subject(connection, tenant, action, "")
    return bind([limit], subject=subject, default_ppm=None)


def decided(stack: Stack, *, allowed: bool = True, second: int = SECOND, used: int = 1, cost: int = 1) -> Decision:
    """The decision on one call by its only limit."""
    state = LimitState(stack.limits[0], used, 100, 0 if allowed else S, S)
    return Decision(allowed, "d", second * S, cost, 1_000_000, (state,), 0 if allowed else S)


def a_worker(store: Store, calls: int = 3, *, second: int = SECOND, allowed: bool = True) -> DemandRecorder:
    """One that has counted so many calls and sent none of them."""
    recorder, stack = DemandRecorder(store), a_stack()
    for number in range(calls):
        recorder.note(stack, LOOK_UP[1], decided(stack, allowed=allowed, second=second, used=number + 1))
    return recorder


def called(store: Store, *tenants: str, allowed: bool = True, used: int = 1, second: int = SECOND) -> DemandRecorder:
    """A worker that counted a call of each, and sent none."""
    worker = DemandRecorder(store)
    for name in tenants:
        stack = a_stack(tenant=name, alert_at=(80,))
        worker.note(stack, LOOK_UP[1], decided(stack, allowed=allowed, used=used, second=second))
    return worker
