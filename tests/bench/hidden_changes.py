"""Limits that an upstream does not publish, and changes: how soon a pace follows, and at how many requests.

``python -m tests.bench.hidden_changes`` prints the table of docs/upstream-unit.md. Tune on other seeds, and without the
estimated window.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from typing import NamedTuple

from tests.bench.hidden_limits import store_url
from tests.limiter.core.given import store_at
from tests.limiter.core.hidden_unit import Bucket, Fixed, Hidden, InFlight, Run, Seen, Sliding, Weighted

LIMITS: dict[str, Callable[[float], Hidden]] = {
    "token bucket, burst 10": Bucket,
    "sliding window of a minute": Sliding,
    "fixed window of a minute": Fixed,
    "calls in flight, of a second each": InFlight,
    "sliding window of a minute, estimated from two fixed ones": Weighted,
    "token bucket, burst 3": lambda rate: Bucket(rate, burst=3, level=3),
}
LOW, HIGH = 60, 300
DEMAND = 12.5
"""Calls a second."""
LEARNING_S, FOLLOWED_S = (90, 150), 120
REACHED, LEFT = 0.95 * HIGH, 1.15 * LOW


class Job(NamedTuple):
    limit: str
    says: bool
    seed: int


class Score(NamedTuple):
    """Seconds until the pace has followed up and down, None if it did not; requests for each call that ran.

    ``turned_away``: in the minute after the fall.
    """

    up_s: float | None
    down_s: float | None
    requests: float
    turned_away: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(101, 110), metavar=("FIRST", "LAST"))
    parser.add_argument("--limits", nargs="+", choices=list(LIMITS), default=list(LIMITS))
    parser.add_argument("--jobs", type=int, default=2, help="processes of this bench")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds[0], arguments.seeds[1] + 1)
    print(f"| hidden limit, {LOW} → {HIGH} → {LOW} a minute | up | down | requests | turned away in the fall |")
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for says in (True, False):
            for limit in arguments.limits:
                scores = list(pool.map(score, [Job(limit, says, seed) for seed in seeds]))
                print(f"| {limit}{'' if says else ', no `Retry-After`'} | {_cells(scores)} |", flush=True)


def _cells(scores: Sequence[Score]) -> str:
    """Median, and the worst seed; how many followed in time, where not all did."""
    requests = [score.requests for score in scores]
    away = [score.turned_away for score in scores]
    return " | ".join(
        (
            after([score.up_s for score in scores]),
            after([score.down_s for score in scores]),
            f"{sum(requests) / len(requests):.3f} ({max(requests):.3f})",
            f"{sum(away) / len(away):.1f} ({max(away)})",
        )
    )


def after(seconds: Sequence[float | None]) -> str:
    found = sorted(each for each in seconds if each is not None)
    if not found:
        return f"0 of {len(seconds)}"
    text = f"{found[len(found) // 2]:.0f} s ({found[-1]:.0f} s)"
    return text if len(found) == len(seconds) else f"{text}, {len(found)} of {len(seconds)}"


def score(job: Job) -> Score:
    return asyncio.run(_score(job))


async def _score(job: Job) -> Score:
    store, rng, unit = store_at(store_url()), random.Random(job.seed), LIMITS[job.limit](LOW)
    rises = rng.uniform(*LEARNING_S)
    falls = rises + FOLLOWED_S
    run = Run(store, unit, rng=rng, says=job.says, workers=2, waits_s=0)
    run.at(rises, anew(unit, LIMITS[job.limit](HIGH)))
    run.at(falls, anew(unit, LIMITS[job.limit](LOW)))
    await store.open()
    run.start(lambda at: DEMAND)
    await run.until(falls + FOLLOWED_S)
    await store.close()
    seen = run.seen
    return Score(
        up_s=first(seen, since=rises, until=falls, of=lambda pace: pace >= REACHED),
        down_s=first(seen, since=falls, until=falls + FOLLOWED_S, of=lambda pace: pace <= LEFT),
        requests=seen.requests_per_call(),
        turned_away=seen.rate(since=falls, until=falls + 60, of=seen.turned_away),
    )


def anew(unit: Hidden, like: Hidden) -> Callable[[float], Awaitable[None]]:
    """The unit has another limit, and has counted nothing yet, as the sandbox."""

    async def one(at: float) -> None:
        for each in fields(like):  # type: ignore[arg-type]
            setattr(unit, each.name, getattr(like, each.name))
        if isinstance(unit, Bucket):
            unit.filled_at = at

    return one


def first(seen: Seen, *, since: float, until: float, of: Callable[[float], bool]) -> float | None:
    return next((at - since for at, pace in seen.paces if since <= at < until and of(pace)), None)


if __name__ == "__main__":
    main()
