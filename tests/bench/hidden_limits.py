"""Limits that an upstream does not publish, before the real scripts with a given clock: how well a pace keeps to them.

``python -m tests.bench.hidden_limits`` prints the table of docs/upstream-unit.md in a few minutes, beside what a
sender would use that knows the limit (tests/limiter/core/knowing.py). Tune on other seeds.
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
from tests.limiter.core.knowing import Offer, best_use
from tests.limiter.core.unequal_unit import Unequal

LIMITS: dict[str, Callable[[float], Hidden]] = {
    "token bucket, burst 10": Bucket,
    "token bucket, no two at once": lambda rate: Bucket(rate, burst=1, level=1),
    "sliding window of a minute": Sliding,
    "fixed window of a minute": Fixed,
    "sliding window of ten seconds": lambda rate: Sliding(rate, seconds=10),
    "fixed window of ten seconds": lambda rate: Fixed(rate, seconds=10),
    "calls in flight, of a second each": InFlight,
    "calls in flight, of 0.2 to 1.8 s": Unequal,
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
    evenly: bool = False


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
    parser.add_argument("--evenly", action="store_true", help="calls come evenly, and not at random")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="calls a minute of the limit")
    parser.add_argument("--limits", nargs="+", choices=list(LIMITS), default=list(LIMITS))
    parser.add_argument("--jobs", type=int, default=2, help="processes of this bench")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds[0], arguments.seeds[1] + 1)
    heads = [f"{what}, {rate} a minute" for rate in arguments.rates for what in ("used", "best possible", "requests")]
    print("| hidden limit | " + " | ".join(heads) + " |\n|---" + "|---" * len(heads) + "|")
    like = Job("", 0, True, arguments.workers, 0, arguments.waits, arguments.varies, arguments.demand, arguments.evenly)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        cases = [like._replace(limit=limit, per_minute=rate) for limit in arguments.limits for rate in arguments.rates]
        best = dict(zip(cases, pool.map(functools.partial(best_score, seeds=seeds), cases), strict=True))
        for says in (True, False):
            for limit in arguments.limits:
                likes = [case for case in cases if case.limit == limit]
                cells = [cell for case in likes for cell in _cells(pool, case._replace(says=says), seeds, best[case])]
                print(f"| {limit}{'' if says else ', no `Retry-After`'} | {' | '.join(cells)} |", flush=True)


def _cells(pool: ProcessPoolExecutor, case: Job, seeds: range, best: float) -> Iterator[str]:
    scores = list(pool.map(score, [case._replace(seed=seed) for seed in seeds]))
    yield _mean_and_worst([each.used for each in scores], min)
    yield f"{best:.3f}"
    yield _mean_and_worst([each.requests for each in scores], max)


def _mean_and_worst(values: Sequence[float], worst: Callable[[Sequence[float]], float]) -> str:
    return f"{sum(values) / len(values):.3f} ({worst(values):.3f})"


def best_score(job: Job, seeds: Sequence[int]) -> float:
    """What a sender uses that knows the limit."""
    offer = Offer(job.demand * job.per_minute / 60, LASTS_S, job.waits_s, job.varies, job.evenly)
    return best_use(functools.partial(LIMITS[job.limit], job.per_minute), offer, seeds=seeds, since=LEARNT_S)


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
        evenly=job.evenly,
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
