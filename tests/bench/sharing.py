"""How much store time a limit takes that a hundred tenants share, beside the same one that they use as they come.

By the store's clock, and by its processor time for the whole command, which other work on the machine changes less. The
two are measured in short blocks that take turns, and the ratio is the median of these pairs: whatever else the machine
does meets both of a pair alike, or few of them.
"""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import replace
from typing import Any, NamedTuple, cast

import redis
import uvloop

from limiter.core import keys
from limiter.core.algorithms import rules_of
from limiter.core.types import CountedPer, Limit, Share, Subject
from limiter.core.window import Call, Stack, bind
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.peers import QUOTA, Ours, fresh
from tests.bench.stage import Stage

CONNECTION, TENANTS = 1, 100
PAIRS_PER_ROUND = 16
"""Of blocks, in which each tenant calls once: some 15 ms."""
ROUNDS_PER_EFFORT = 4
WARM_US = (2_200_000, 1_100_000, 0)
"""How long ago the tenants have called, for the store: a pool is divided for the first time once a slice, a second in
these limits, is over, and costs more before that."""


class Cost(NamedTuple):
    """Of one decision, in microseconds: by the store's clock, and of its processor with parsing and reply."""

    store_us: float
    cpu_us: float


Pair = tuple[Cost, Cost]
"""Of one decision of two blocks that followed each other, not shared and shared."""

LIMITS = {
    "sliding log": Limit("log", "sliding_log", QUOTA, window_us=60_000_000),
    "sliding counter": Limit("counter", "sliding_counter", QUOTA, window_us=60_000_000),
    "token bucket": Limit("bucket", "token_bucket", QUOTA, window_us=60_000_000, burst=QUOTA),
    "concurrency limit": Limit("slots", "concurrency", QUOTA, lease_us=60_000_000),
}


def measure(stage: Stage, effort: Effort) -> Findings:
    url, rounds = stage.rig.redis_url, ROUNDS_PER_EFFORT * effort.rounds
    return judged({name: uvloop.run(_pairs(url, limit, rounds)) for name, limit in LIMITS.items()})


def judged(found: dict[str, list[Pair]]) -> Findings:
    """Tables and goals, from the pairs of each limit."""
    ratios, of_cpu = (
        {name: statistics.median(b[at] / a[at] for a, b in pairs) for name, pairs in found.items()} for at in (0, 1)
    )
    rows = [
        [
            name,
            *(f"{statistics.median(each.store_us for each in of):.1f} µs" for of in zip(*pairs, strict=True)),
            f"{ratios[name]:.2f} {TIMES}",
            *(f"{statistics.median(each.cpu_us for each in of):.1f} µs" for of in zip(*pairs, strict=True)),
            f"{of_cpu[name]:.2f} {TIMES}",
        ]
        for name, pairs in found.items()
    ]
    how = (
        f"Time of one decision by the store's own clock, and its processor time for the whole command, {TENANTS}"
        f" tenants of a connection in turn, one limit of {QUOTA:,} a minute that admits every call;"
        f" {max(map(len, found.values()))} pairs of blocks of {TENANTS} decisions, not shared and shared, in turn, once"
        " a pool is divided; medians of the blocks, and of the ratios of the pairs. A pool is divided once a second, in"
        f" few of the blocks. The limits are new ones after {PAIRS_PER_ROUND} pairs, and so are the usage counters."
    )
    columns = ("Limit", "not shared", "shared", "ratio", "CPU, not shared", "CPU, shared", "ratio of CPU")
    reaches = [
        Reach(f"{what} of a shared {name} beside one that is not, {TENANTS} tenants", ratio, 1.15, TIMES, most=True)
        for what, of_each in (("store time", ratios), ("processor time", of_cpu))
        for name, ratio in of_each.items()
    ]
    return Findings(tables=[Table("Shared limits in the store", how, columns, rows)], reaches=reaches)


async def _pairs(url: str, limit: Limit, rounds: int) -> list[Pair]:
    ours = await Ours.open(url)
    alone = replace(limit, counted_per=CountedPer.CONNECTION)
    shared = replace(alone, share=Share(over_us=rules_of(limit.algorithm).shared_over_us(limit)))
    with redis.Redis.from_url(url) as store:
        found = [await _round(ours, store, (alone, shared)) for _ in range(rounds + 1)]
    await ours.store.close()
    return list(itertools.chain.from_iterable(found[1:]))  # the first round fills caches


async def _round(ours: Ours, store: redis.Redis, limits: tuple[Limit, Limit]) -> list[Pair]:
    # Nobody takes the usage of calls along here. With that of each minute the store would look longer for its counters,
    # on both sides, and hide what a share costs.
    store.delete(keys.usage(CONNECTION))
    stacks, numbers = [_stacks(limit) for limit in limits], itertools.count()
    now_us = time.time_ns() // 1_000
    for ago_us, of_side in itertools.product(WARM_US, stacks):
        for stack in of_side:
            await ours.store.decide(stack, Call(f"d{next(numbers)}", now_us=now_us - ago_us))
    pairs = []
    for pair in range(PAIRS_PER_ROUND):
        of = {}
        for side in in_order(pair):
            store.config_resetstat()
            before_s = _cpu_s(store)
            for stack in stacks[side]:
                await ours.store.decide(stack, Call(f"d{next(numbers)}"))
            cpu_us = (_cpu_s(store) - before_s) * 1e6
            stats = cast(dict[str, dict[str, Any]], store.info("commandstats"))
            of[side] = Cost(float(stats["cmdstat_evalsha"]["usec"]) / TENANTS, cpu_us / TENANTS)
        pairs.append((of[0], of[1]))
    return pairs


def in_order(pair: int) -> tuple[int, int]:
    """Which side comes first: each in turn, so that what a side leaves behind in caches counts for neither alone."""
    return (0, 1) if pair % 2 == 0 else (1, 0)


def _cpu_s(store: redis.Redis) -> float:
    """Processor seconds of the store so far."""
    found = store.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


def _stacks(limit: Limit) -> list[Stack]:
    """One for each tenant; their limit is a new one."""
    named = replace(limit, name=fresh()[:16])
    return [bind([named], subject=Subject(CONNECTION, f"t{number}", "bench", "")) for number in range(TENANTS)]
