"""How much store time a limit takes that a hundred tenants share, beside the same one that they use as they come.

By the store's clock, and by its processor time for the whole command, which other work on the machine changes less.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple, cast

import redis
import uvloop

from limiter.core.algorithms import rules_of
from limiter.core.types import CountedPer, Limit, Share, Subject
from limiter.core.window import Call, Stack, bind
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.peers import QUOTA, Ours, fresh
from tests.bench.stage import Stage

TENANTS = 100
PER_ROUND = 3_000
WARM_S = 2.2
"""A pool is divided for the first time once a slice, a second in these limits, is over, and costs more before that."""


class Cost(NamedTuple):
    """Of one decision, in microseconds: by the store's clock, and of its processor with parsing and reply."""

    store_us: float
    cpu_us: float


LIMITS = {
    "sliding log": Limit("log", "sliding_log", QUOTA, window_us=60_000_000),
    "sliding counter": Limit("counter", "sliding_counter", QUOTA, window_us=60_000_000),
    "token bucket": Limit("bucket", "token_bucket", QUOTA, window_us=60_000_000, burst=QUOTA),
    "concurrency limit": Limit("slots", "concurrency", QUOTA, lease_us=60_000_000),
}


def measure(stage: Stage, effort: Effort) -> Findings:
    url = stage.rig.redis_url
    times = {name: uvloop.run(_rounds(url, limit, effort)) for name, limit in LIMITS.items()}
    ratios, of_cpu = (
        {name: statistics.median(b[at] / a[at] for a, b in pairs) for name, pairs in times.items()} for at in (0, 1)
    )
    rows = [
        [
            name,
            *(f"{statistics.median(each.store_us for each in of):.1f} µs" for of in zip(*pairs, strict=True)),
            f"{ratios[name]:.2f} {TIMES}",
            *(f"{statistics.median(each.cpu_us for each in of):.1f} µs" for of in zip(*pairs, strict=True)),
            f"{of_cpu[name]:.2f} {TIMES}",
        ]
        for name, pairs in times.items()
    ]
    how = (
        f"Time of one decision by the store's own clock, and its processor time for the whole command, {TENANTS}"
        f" tenants of a connection in turn, one limit of {QUOTA:,} a minute that admits every call; {effort.rounds}"
        f" rounds of {PER_ROUND:,} decisions each, not shared and shared in turn, once a pool is divided; medians."
    )
    columns = ("Limit", "not shared", "shared", "ratio", "CPU, not shared", "CPU, shared", "ratio of CPU")
    reaches = [
        Reach(f"{what} of a shared {name} beside one that is not, {TENANTS} tenants", ratio, 1.15, TIMES, most=True)
        for what, found in (("store time", ratios), ("processor time", of_cpu))
        for name, ratio in found.items()
    ]
    return Findings(tables=[Table("Shared limits in the store", how, columns, rows)], reaches=reaches)


async def _rounds(url: str, limit: Limit, effort: Effort) -> list[tuple[Cost, Cost]]:
    """Of a decision, not shared and shared, of each round."""
    ours, pairs = await Ours.open(url), []
    alone = replace(limit, counted_per=CountedPer.CONNECTION)
    shared = replace(alone, share=Share(over_us=rules_of(limit.algorithm).shared_over_us(limit)))
    for _ in range(effort.rounds):
        pairs.append((await _cost(ours, url, alone), await _cost(ours, url, shared)))
    await ours.store.close()
    return pairs


async def _cost(ours: Ours, url: str, limit: Limit) -> Cost:
    stacks, numbers = itertools.cycle(_stacks(limit)), itertools.count()
    warm_until = time.monotonic() + WARM_S
    while time.monotonic() < warm_until:
        await ours.store.decide(next(stacks), Call(f"d{next(numbers)}"))
    with redis.Redis.from_url(url) as store:
        store.config_resetstat()
        before = _cpu_s(store)
        for _ in range(PER_ROUND):
            await ours.store.decide(next(stacks), Call(f"d{next(numbers)}"))
        cpu_s = _cpu_s(store) - before
        stats = cast(dict[str, dict[str, Any]], store.info("commandstats"))
    return Cost(float(stats["cmdstat_evalsha"]["usec_per_call"]), cpu_s / PER_ROUND * 1e6)


def _cpu_s(store: redis.Redis) -> float:
    """Processor seconds of the store so far."""
    found = store.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


def _stacks(limit: Limit) -> Iterator[Stack]:
    """One for each tenant; their limit is a new one."""
    named = replace(limit, name=fresh()[:16])
    return iter([bind([named], subject=Subject(1, f"t{number}", "bench", "")) for number in range(TENANTS)])
