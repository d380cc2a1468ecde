"""How much store time a limit takes that a hundred tenants share, beside the same one that they use as they come."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

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
LIMITS = {
    "sliding log": Limit("log", "sliding_log", QUOTA, window_us=60_000_000),
    "sliding counter": Limit("counter", "sliding_counter", QUOTA, window_us=60_000_000),
    "token bucket": Limit("bucket", "token_bucket", QUOTA, window_us=60_000_000, burst=QUOTA),
    "concurrency limit": Limit("slots", "concurrency", QUOTA, lease_us=60_000_000),
}


def measure(stage: Stage, effort: Effort) -> Findings:
    url = stage.rig.redis_url
    times = {name: uvloop.run(_rounds(url, limit, effort)) for name, limit in LIMITS.items()}
    ratios = {name: statistics.median(b / a for a, b in pairs) for name, pairs in times.items()}
    rows = [
        [
            name,
            *(f"{statistics.median(each):.1f} µs" for each in zip(*pairs, strict=True)),
            f"{ratios[name]:.2f} {TIMES}",
        ]
        for name, pairs in times.items()
    ]
    how = (
        f"Time of one decision by the store's own clock, {TENANTS} tenants of a connection in turn, one limit of"
        f" {QUOTA:,} a minute that admits every call; {effort.rounds} rounds of {PER_ROUND:,} decisions each, not"
        " shared and shared in turn, medians."
    )
    columns = ("Limit", "not shared", "shared", "ratio")
    reaches = [
        Reach(f"store time of a shared {name} beside one that is not, {TENANTS} tenants", ratio, 1.15, TIMES, most=True)
        for name, ratio in ratios.items()
    ]
    return Findings(tables=[Table("Shared limits in the store", how, columns, rows)], reaches=reaches)


async def _rounds(url: str, limit: Limit, effort: Effort) -> list[tuple[float, float]]:
    """Microseconds of a decision, not shared and shared, of each round."""
    ours, pairs = await Ours.open(url), []
    alone = replace(limit, counted_per=CountedPer.CONNECTION)
    shared = replace(alone, share=Share(over_us=rules_of(limit.algorithm).shared_over_us(limit)))
    for _ in range(effort.rounds):
        pairs.append((await _store_us(ours, url, alone), await _store_us(ours, url, shared)))
    await ours.store.close()
    return pairs


async def _store_us(ours: Ours, url: str, limit: Limit) -> float:
    stacks, numbers = itertools.cycle(_stacks(limit)), itertools.count()
    for _ in range(2 * TENANTS):
        await ours.store.decide(next(stacks), Call(f"d{next(numbers)}"))
    with redis.Redis.from_url(url) as store:
        store.config_resetstat()
        for _ in range(PER_ROUND):
            await ours.store.decide(next(stacks), Call(f"d{next(numbers)}"))
        stats = cast(dict[str, dict[str, Any]], store.info("commandstats"))
    return float(stats["cmdstat_evalsha"]["usec_per_call"])


def _stacks(limit: Limit) -> Iterator[Stack]:
    """One for each tenant; their limit is a new one."""
    named = replace(limit, name=fresh()[:16])
    return iter([bind([named], subject=Subject(1, f"t{number}", "bench", "")) for number in range(TENANTS)])
