"""What a decision of the limiter's core costs the process that asks, beside two other libraries on the same store.

Judged by processor time, like the calls of the gateway: on a machine that is busy otherwise it changes the least.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import redis
import uvloop

from limiter.core.types import Limit
from tests.bench import peers
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.peers import Decide, DecideNow
from tests.bench.stage import Stage

AT_ONCE = 64


class Pace(NamedTuple):
    """Decisions per second, and the processor time that the asking process spent on one."""

    per_s: float
    cpu_us: float


OURS_1, OURS_3 = "this core, 1 limit (sliding log)", "this core, 3 limits"
THROTTLED, LIMITS = "throttled-py, sliding window", "limits, moving window"
SYNC, ASYNC = "synchronous", "asyncio"


def measure(stage: Stage, effort: Effort) -> Findings:
    url = stage.rig.redis_url
    single, at_once = uvloop.run(_rounds(url, effort))
    store_us = {OURS_1: uvloop.run(_store_us(url, (peers.LOG,))), OURS_3: uvloop.run(_store_us(url, peers.STACK))}
    rows = [
        [
            name,
            *_figures(single.get(name)),
            *_figures(at_once.get(name)),
            f"{store_us[name]:.1f} µs" if name in store_us else "",
        ]
        for name in single
    ]
    how = (
        f"One thread against the store, {effort.rounds} rounds of {effort.decisions_seconds:g} s in turn, medians."
        f" {AT_ONCE} at once: so many asyncio tasks, as a worker under load has them; ours leave in few writes per loop"
        " tick. The limit is 1,000,000 per minute and admits every call; ours also counts usage. throttled-py's window"
        " is approximate: two counters, weighed; the others keep an exact log."
    )
    many = f"{AT_ONCE} at once"
    columns = ("Library", "one after the other: CPU", "per s", f"{many}: CPU", "per s", "time in the store")
    return Findings(
        tables=[Table("Decisions of the core", how, columns, rows)], reaches=list(_reaches(single, at_once))
    )


def _figures(pace: Pace | None) -> tuple[str, str]:
    return (f"{pace.cpu_us:.1f} µs", f"{pace.per_s:,.0f}") if pace else ("", "")


def _reaches(single: dict[str, Pace], at_once: dict[str, Pace]) -> Iterator[Reach]:
    sync, many = f"{THROTTLED}, {SYNC}", f"{THROTTLED}, {ASYNC}"
    for name, paces, other, goal in (
        (f"one after the other, beside throttled-py ({SYNC})", single, sync, 1.5),
        (f"{AT_ONCE} at once, beside throttled-py ({ASYNC})", at_once, many, 5.0),
    ):
        yield Reach(f"core decisions per CPU second, {name}", paces[other].cpu_us / paces[OURS_1].cpu_us, goal, TIMES)
    for name, paces in (("one after the other", single), (f"{AT_ONCE} at once", at_once)):
        cost = paces[OURS_3].cpu_us / paces[OURS_1].cpu_us
        yield Reach(f"CPU of a decision on 3 limits beside 1, {name}", cost, 1.5, TIMES, most=True)


async def _rounds(url: str, effort: Effort) -> tuple[dict[str, Pace], dict[str, Pace]]:
    """Median paces: one after the other, and many at once."""
    ours = await peers.Ours.open(url)
    now: dict[str, Callable[[], DecideNow]] = {
        f"{THROTTLED}, {SYNC}": lambda: peers.throttled_now(url),
        f"{LIMITS}, {SYNC}": lambda: peers.limits_now(url),
    }
    tasks: dict[str, Callable[[], Decide]] = {
        OURS_1: lambda: ours.decide((peers.LOG,), peers.fresh()),
        OURS_3: lambda: ours.decide(peers.STACK, peers.fresh()),
        f"{THROTTLED}, {ASYNC}": lambda: peers.throttled_async(url),
        f"{LIMITS}, {ASYNC}": lambda: peers.limits_async(url),
    }
    single: dict[str, list[Pace]] = defaultdict(list)
    at_once: dict[str, list[Pace]] = defaultdict(list)
    for _ in range(effort.rounds):
        for name, make in tasks.items():
            single[name].append(await _at_once(make(), 1, effort.decisions_seconds))
            at_once[name].append(await _at_once(make(), AT_ONCE, effort.decisions_seconds))
        for name, make_now in now.items():
            single[name].append(_one_after_the_other(make_now(), effort.decisions_seconds))
    await ours.store.close()
    return _medians(single), _medians(at_once)


def _medians(paces: dict[str, list[Pace]]) -> dict[str, Pace]:
    return {name: Pace(*map(statistics.median, zip(*values, strict=True))) for name, values in paces.items()}


def _one_after_the_other(decide: DecideNow, seconds: float) -> Pace:
    decide()
    count, started, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < started + seconds:
        decide()
        count += 1
    return _pace(count, started, cpu)


def _pace(count: int, started: float, cpu: float) -> Pace:
    """So many decisions since these two moments of the clocks."""
    return Pace(count / (time.perf_counter() - started), (time.process_time() - cpu) / max(1, count) * 1e6)


async def _at_once(decide: Decide, tasks: int, seconds: float) -> Pace:
    await asyncio.gather(*(decide() for _ in range(tasks)))  # opens the connections that so many need
    count, started, cpu = 0, time.perf_counter(), time.process_time()

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < started + seconds:
            await decide()
            count += 1

    await asyncio.gather(*(caller() for _ in range(tasks)))
    return _pace(count, started, cpu)


async def _store_us(url: str, stacked: tuple[Limit, ...]) -> float:
    """Microseconds that the store itself takes for a decision, by its own clock."""
    ours = await peers.Ours.open(url)
    decide = ours.decide(stacked, peers.fresh())
    await decide()
    with redis.Redis.from_url(url) as store:
        store.config_resetstat()
        await _at_once(decide, AT_ONCE, 0.5)
        stats = cast(dict[str, dict[str, Any]], store.info("commandstats"))
    await ours.store.close()
    return float(stats["cmdstat_evalsha"]["usec_per_call"])
