"""What appointments do for clients that come back in time, and their cost; how fast callers that hang up leave."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import redis
import uvloop

from limiter.core.types import MICROS, Limit, Subject
from limiter.core.window import Call, bind
from limiter.gateway.line import Rest, Waiter, WaitingLine
from tests.bench import peers
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.peers import Ours
from tests.bench.stage import Stage
from tests.limiter.core.obedient import Served, herd

CLIENTS, QUOTA = 30, 2
WAITING, LEAVING = 2_000, 200
GRACE_US = 5 * MICROS
LIMITS = {
    "token bucket": Limit("bucket", "token_bucket", QUOTA, MICROS, burst=1),
    "sliding log": Limit("log", "sliding_log", QUOTA, MICROS),
}
COUNTED = {
    "token bucket": Limit("bucket", "token_bucket", 10**6, MICROS, burst=10**6),
    "sliding log": peers.LOG,
    "sliding counter": Limit("hour", "sliding_counter", 10**6, 3600 * MICROS),
}


def measure(stage: Stage, effort: Effort) -> Findings:
    url = stage.rig.redis_url
    herds = {
        (name, holds): uvloop.run(_herd(url, replace(limit, reserve_us=GRACE_US * holds)))
        for name, limit in LIMITS.items()
        for holds in (False, True)
    }
    costs = {name: uvloop.run(_costs(url, limit, effort)) for name, limit in COUNTED.items()}
    how = (
        f"{CLIENTS} clients of one key call at once at {QUOTA} calls a second, and come back when the whole seconds of"
        " Retry-After are over; the deciding script, by a clock that is handed in."
    )
    columns = ("Limit", "appointments", "passed at their first return", "requests", "last one served")
    rows = [
        [name, "yes" if holds else "no", str(CLIENTS - found.late), str(found.requests), f"{max(found.at) / 1e6:.1f} s"]
        for (name, holds), found in herds.items()
    ]
    cost_rows = [[name, *(f"{us:.1f} µs" for us in found)] for name, found in costs.items()]
    cost_how = f"The store's own time for a decision that admits, {effort.rounds} rounds in turn, medians."
    leaves = uvloop.run(_leaves())
    leave_how = f"{LEAVING} of {WAITING:,} callers in one line hang up, one after the other: until the place is free."
    leave_rows = [
        [f"{quantile:.0%}", f"{leaves[round(quantile * (LEAVING - 1))] * 1000:.2f} ms"] for quantile in (0.5, 1)
    ]
    cost_columns = ("Limit", "no appointments", "allowed, none open", "allowed, 50 open")
    return Findings(
        tables=[
            Table("A herd with appointments", how, columns, rows),
            Table("Appointments in the store", cost_how, cost_columns, cost_rows),
            Table("Callers that hang up", leave_how, ("of them", "free after"), leave_rows),
        ],
        reaches=[
            *_reaches(herds, costs),
            Reach("a caller that hangs up leaves the line, ms", leaves[-1] * 1000, 100, "", most=True),
        ],
    )


def _reaches(herds: dict[tuple[str, bool], Served], costs: dict[str, tuple[float, float, float]]) -> Iterator[Reach]:
    held = [found for (_, holds), found in herds.items() if holds]
    ideal_s = (CLIENTS - 1) / QUOTA
    yield Reach(f"of {CLIENTS} clients, passed at their first return", CLIENTS - max(h.late for h in held), 29, "")
    yield Reach("requests", max(h.requests for h in held), 62, "", most=True)
    yield Reach(
        "last one served, beside the ideal", max(max(h.at) for h in held) / 1e6 / ideal_s, 1.05, TIMES, most=True
    )
    dearest = max(with_none / without for without, with_none, _ in costs.values())
    yield Reach(
        "store time of a policy that holds units, none open, beside one that holds none", dearest, 1.5, TIMES, most=True
    )


async def _leaves() -> list[float]:
    """How long callers that hang up keep their places (s), sorted."""
    line, dice, took = WaitingLine("limit", ended=lambda _: None), random.Random(3), []

    async def wait(waiter: Waiter) -> float:
        line.add(waiter)
        try:
            await waiter.until_woken()
        finally:
            line.remove(waiter)
        return time.perf_counter()

    line.rest(Rest(line_us=3600 * MICROS))
    waiters = [Waiter(number) for number in range(WAITING)]
    tasks = [asyncio.create_task(wait(waiter)) for waiter in waiters]
    await asyncio.sleep(0)
    for number in dice.sample(range(WAITING), LEAVING):
        began = time.perf_counter()
        waiters[number].leave()
        took.append(await tasks[number] - began)
    for task in tasks:
        task.cancel()
    return sorted(took)


async def _herd(url: str, limit: Limit) -> Served:
    ours = await Ours.open(url)
    stack = bind((limit,), subject=Subject(3, "bench", peers.fresh(), "key"))
    served = await herd(ours.store, stack, clients=CLIENTS, since_us=time.time_ns() // 1000, dice=random.Random(1))
    await ours.store.close()
    return served


async def _costs(url: str, limit: Limit, effort: Effort) -> tuple[float, float, float]:
    """Store time of an allowed call (us): without appointments, with none open, and with fifty of other keys."""
    ours = await Ours.open(url)
    plain, holding = (
        bind((each,), subject=Subject(3, "bench", peers.fresh(), "key"))
        for each in (limit, replace(limit, reserve_us=GRACE_US))
    )
    crowded = bind((replace(limit, reserve_us=GRACE_US),), subject=Subject(3, "bench", peers.fresh(), "key"))
    later = time.time_ns() // 1000 + 3600 * MICROS
    open_ones = b"1" + b"".join(struct.pack("<21sIdd", b"0%020x" % n, 1, later, later) for n in range(50))
    found: list[list[float]] = [[], [], []]
    with redis.Redis.from_url(url) as store:
        store.set(crowded.keys[-1], open_ones)
        for _ in range(effort.rounds):
            for of, stack in zip(found, (plain, holding, crowded), strict=True):
                store.config_resetstat()
                for n in range(500):
                    call = (
                        Call(f"d{n}")
                        if stack is plain
                        else Call(f"d{n}", client="b" * 20, itself="c" * 20, patience_us=0)
                    )
                    await ours.store.decide(stack, call)
                stats = cast(dict[str, dict[str, Any]], store.info("commandstats"))
                of.append(float(stats["cmdstat_evalsha"]["usec_per_call"]))
    await ours.store.close()
    one, two, three = (sorted(each)[len(each) // 2] for each in found)
    return one, two, three
