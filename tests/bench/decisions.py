"""Decisions per second of the limiter's core on one thread, beside two other libraries on the same store."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import redis
import uvloop

from tests.bench import peers
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.peers import Decide, DecideNow
from tests.bench.stage import Stage

AT_ONCE = 64
OURS_1, OURS_3 = "this core, 1 limit (sliding log)", "this core, 3 limits"
THROTTLED, LIMITS = "throttled-py, sliding window", "limits, moving window"


def measure(stage: Stage, effort: Effort) -> Findings:
    url = stage.rig.redis_url
    single, at_once = uvloop.run(_rounds(url, effort))
    store_us = {name: uvloop.run(_store_us(url, limits)) for name, limits in ((OURS_1, 1), (OURS_3, 3))}
    rows = [
        [name, f"{single[name]:,.0f}", f"{at_once[name]:,.0f}", f"{store_us[name]:.1f} µs" if name in store_us else ""]
        for name in single
    ]
    how = (
        f"One thread against the store, {effort.rounds} rounds of {effort.decisions_seconds:g} s in turn, medians."
        f" {AT_ONCE} at once: so many asyncio tasks, as a worker under load has them; ours leave in one write"
        " per loop tick. One after the other: the synchronous API for the others. The limit is 1,000,000 per minute and"
        " admits every call; ours also counts usage."
    )
    columns = ("Library", "one after the other, per s", f"{AT_ONCE} at once, per s", "time in the store")
    return Findings(
        tables=[Table("Decisions of the core", how, columns, rows)], reaches=list(_reaches(single, at_once))
    )


def _reaches(single: dict[str, float], at_once: dict[str, float]) -> Iterator[Reach]:
    beside = "beside throttled-py's sliding window"
    yield Reach(f"core decisions, one after the other, {beside}", single[OURS_1] / single[THROTTLED], 1.5, TIMES)
    yield Reach(f"core decisions, {AT_ONCE} at once, {beside}", at_once[OURS_1] / at_once[THROTTLED], 5.0, TIMES)
    cost = at_once[OURS_1] / at_once[OURS_3]
    yield Reach("time of a decision on 3 limits, beside 1", cost, 1.5, TIMES, most=True)


async def _rounds(url: str, effort: Effort) -> tuple[dict[str, float], dict[str, float]]:
    """Median decisions per second: one after the other, and many at once."""
    ours = await peers.Ours.open(url)
    single: dict[str, Callable[[], Decide]] = {
        OURS_1: lambda: ours.decide((peers.LOG,), peers.fresh()),
        OURS_3: lambda: ours.decide(peers.STACK, peers.fresh()),
    }
    now: dict[str, Callable[[], DecideNow]] = {
        THROTTLED: lambda: peers.throttled_now(url),
        LIMITS: lambda: peers.limits_now(url),
    }
    many: dict[str, Callable[[], Decide]] = {
        **single,
        THROTTLED: lambda: peers.throttled_async(url),
        LIMITS: lambda: peers.limits_async(url),
    }
    figures: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in many}
    for _ in range(effort.rounds):
        for name, make in many.items():
            ones, at_once = figures[name]
            if name in now:
                ones.append(_one_after_the_other(now[name](), effort.decisions_seconds))
            else:
                ones.append(await _at_once(make(), 1, effort.decisions_seconds))
            at_once.append(await _at_once(make(), AT_ONCE, effort.decisions_seconds))
    await ours.store.close()
    medians = [{name: statistics.median(pair[i]) for name, pair in figures.items()} for i in (0, 1)]
    return medians[0], medians[1]


def _one_after_the_other(decide: DecideNow, seconds: float) -> float:
    decide()
    count, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        decide()
        count += 1
    return count / (time.perf_counter() - started)


async def _at_once(decide: Decide, tasks: int, seconds: float) -> float:
    await asyncio.gather(*(decide() for _ in range(tasks)))  # opens the connections that so many need
    count, started = 0, time.perf_counter()

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < started + seconds:
            await decide()
            count += 1

    await asyncio.gather(*(caller() for _ in range(tasks)))
    return count / (time.perf_counter() - started)


async def _store_us(url: str, limits: int) -> float:
    """Microseconds that the store itself takes for a decision, by its own clock."""
    ours = await peers.Ours.open(url)
    decide = ours.decide((peers.LOG,) if limits == 1 else peers.STACK, peers.fresh())
    await decide()
    with redis.Redis.from_url(url) as store:
        store.config_resetstat()
        await _at_once(decide, AT_ONCE, 0.5)
        stats = cast(dict[str, dict[str, Any]], store.info("commandstats"))
    await ours.store.close()
    return float(stats["cmdstat_evalsha"]["usec_per_call"])
