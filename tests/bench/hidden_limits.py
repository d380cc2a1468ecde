"""Limits that an upstream does not publish, before the real scripts with a given clock: how well a pace keeps to them.

``python -m tests.bench.hidden_limits`` prints the table of docs/upstream-unit.md in a minute or two. Tune on other
seeds.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.util import Finalize
from pathlib import Path
from typing import NamedTuple

import redis

from quota_platform.embedded import start_valkey
from tests.limiter.core.given import store_at
from tests.limiter.core.hidden_unit import VARIES, Bucket, Fixed, Hidden, InFlight, Seen, Sliding, run

LIMITS: dict[str, Callable[[float], Hidden]] = {
    "token bucket, burst 10": Bucket,
    "token bucket, no two at once": lambda rate: Bucket(rate, burst=1, level=1),
    "sliding window of a minute": Sliding,
    "fixed window of a minute": Fixed,
    "sliding window of ten seconds": lambda rate: Sliding(rate, seconds=10),
    "fixed window of ten seconds": lambda rate: Fixed(rate, seconds=10),
    "calls in flight, of a second each": InFlight,
}
RATES = (60, 300)
LASTS_S, LEARNT_S = 600, 120
DEMAND = 2.5
"""Calls for each that the limit takes."""


class Job(NamedTuple):
    limit: str
    per_minute: int
    says: bool
    workers: int
    seed: int
    waits_s: float = 0
    varies: float = VARIES
    demand: float = DEMAND


class Score(NamedTuple):
    """Share of the limit that was used once it had been learned; requests for each call that ran, from the start."""

    used: float
    requests: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(101, 105), metavar=("FIRST", "LAST"))
    parser.add_argument("--workers", type=int, default=2, help="of the platform, that learn together")
    parser.add_argument("--waits", type=float, default=0, help="seconds for which a call waits that is held back")
    parser.add_argument("--varies", type=float, default=VARIES, help="how far a latency is from its mean, as a share")
    parser.add_argument("--demand", type=float, default=DEMAND, help="calls for each that the limit takes")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="calls a minute of the limit")
    parser.add_argument("--limits", nargs="+", choices=list(LIMITS), default=list(LIMITS))
    parser.add_argument("--jobs", type=int, default=2, help="processes of this bench")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds[0], arguments.seeds[1] + 1)
    heads = [f"{what}, {rate} a minute" for rate in arguments.rates for what in ("used", "requests")]
    print("| hidden limit | " + " | ".join(heads) + " |\n|---" + "|---" * len(heads) + "|")
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for says in (True, False):
            for limit in arguments.limits:
                like = Job(limit, 0, says, arguments.workers, 0, arguments.waits, arguments.varies, arguments.demand)
                cells = _cells(pool, like, rates=arguments.rates, seeds=seeds)
                print(f"| {limit}{'' if says else ', no `Retry-After`'} | {' | '.join(cells)} |", flush=True)


def _cells(pool: ProcessPoolExecutor, like: Job, *, rates: Sequence[int], seeds: range) -> Iterator[str]:
    """Mean, and the worst seed."""
    for rate in rates:
        scores = list(pool.map(score, [like._replace(per_minute=rate, seed=seed) for seed in seeds]))
        for values, worst in (([s.used for s in scores], min), ([s.requests for s in scores], max)):
            yield f"{sum(values) / len(values):.3f} ({worst(values):.3f})"


def score(job: Job) -> Score:
    return asyncio.run(_score(job))


async def _score(job: Job) -> Score:
    store, per_second = store_at(store_url()), job.per_minute / 60
    unit = LIMITS[job.limit](job.per_minute)
    rng = random.Random(job.seed)
    await store.open()
    seen: Seen = await run(
        store,
        unit,
        seconds=LASTS_S,
        demand=lambda at: job.demand * per_second,
        rng=rng,
        says=job.says,
        workers=job.workers,
        waits_s=job.waits_s,
        varies=job.varies,
    )
    await store.close()
    ran = seen.rate(since=LEARNT_S, until=LASTS_S, of=seen.ran)
    return Score(ran / (per_second * (LASTS_S - LEARNT_S)), seen.requests_per_call())


def store_url() -> str:
    """The store of this process, emptied."""
    url = _started()
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@functools.cache
def _started() -> str:
    valkey = start_valkey(directory=Path(tempfile.mkdtemp(prefix="quota-hidden-")))
    Finalize(None, valkey.stop, exitpriority=0)  # a process of the pool runs no atexit
    return valkey.url


if __name__ == "__main__":
    main()
