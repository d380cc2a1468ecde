"""Limits that an upstream does not publish, before two tenants that share the pace: a flooder, and another.

``python -m tests.bench.hidden_shares`` prints the tables of docs/sharing.md. Tune on other seeds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.bench.hidden_changes import FOLLOWED_S, HIGH, LEARNING_S, LEFT, LOW, REACHED, after, anew, first
from tests.bench.hidden_limits import LIMITS, store_url
from tests.limiter.core.given import store_at
from tests.limiter.core.test_shared_pace import SharedRun, flooded

HELD = (
    "token bucket, burst 10",
    "sliding window of a minute",
    "fixed window of a minute",
    "token bucket, no two at once",
    "calls in flight, of a second each",
)
FOLLOWED = HELD[:3]
LOADS = {300: 2.5, 120: 6.0, 60: 2.5}
"""Calls a minute that the unit takes, and how many times as many the flooder makes."""


class Score(NamedTuple):
    """Share of the tenant's calls that were served, of the limit that was used; until the pace followed up and down."""

    served: float
    used: float = 0
    up_s: float | None = None
    down_s: float | None = None


class Job(NamedTuple):
    """``per_minute``: 0 for a limit that rises and falls."""

    limit: str
    per_minute: int
    says: bool
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(101, 110), metavar=("FIRST", "LAST"))
    parser.add_argument("--limits", nargs="+", choices=HELD, default=HELD)
    parser.add_argument("--mute", action="store_true", help="responses that turn a call away have no Retry-After")
    parser.add_argument("--jobs", type=int, default=2, help="processes of this bench")
    arguments = parser.parse_args()
    seeds, says = range(arguments.seeds[0], arguments.seeds[1] + 1), not arguments.mute
    heads = [f"{rate} a minute, flood of {times:g} times: meek served | used" for rate, times in LOADS.items()]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        print("| hidden limit | " + " | ".join(heads) + " |\n|---" + "|---|---" * len(heads) + "|")
        for limit in arguments.limits:
            cells = [_held(list(pool.map(score, [Job(limit, rate, says, seed) for seed in seeds]))) for rate in LOADS]
            print(f"| {limit} | {' | '.join(cells)} |", flush=True)
        print(f"\n| hidden limit, {LOW} → {HIGH} → {LOW} a minute | up | down | meek served |\n|---|---|---|---|")
        for limit in [each for each in FOLLOWED if each in arguments.limits]:
            scores = list(pool.map(score, [Job(limit, 0, says, seed) for seed in seeds]))
            ways = [after([each.up_s for each in scores]), after([each.down_s for each in scores])]
            print(f"| {limit} | {' | '.join(ways)} | {_served(scores)} |", flush=True)


def _served(scores: Sequence[Score]) -> str:
    """Mean, and the worst seed."""
    served = [each.served for each in scores]
    return f"{sum(served) / len(served):.3f} ({min(served):.3f})"


def _held(scores: Sequence[Score]) -> str:
    return f"{_served(scores)} | {sum(each.used for each in scores) / len(scores):.3f}"


def score(job: Job) -> Score:
    return asyncio.run(_held_at(job) if job.per_minute else _followed(job))


async def _held_at(job: Job) -> Score:
    store = store_at(store_url())
    await store.open()
    unit, times = LIMITS[job.limit](job.per_minute), LOADS[job.per_minute]
    made = await flooded(store, unit, job.seed, times=times, says=job.says)
    await store.close()
    return Score(sum(made.served) / len(made.served), made.used)


async def _followed(job: Job) -> Score:
    """The unit takes five times as many from some instant on, and as many as before after four minutes."""
    store, rng, unit = store_at(store_url()), random.Random(job.seed), LIMITS[job.limit](LOW)
    rises = rng.uniform(*LEARNING_S)
    falls = rises + 2 * FOLLOWED_S
    ends = falls + FOLLOWED_S
    run = SharedRun(store, unit, rng=rng, says=job.says, workers=2, waits_s=0)
    run.at(rises, anew(unit, LIMITS[job.limit](HIGH)))
    run.at(falls, anew(unit, LIMITS[job.limit](LOW)))
    await store.open()
    run.report_regularly()
    sent = run.flood(2.5 * HIGH / 60, meek_per_s=0.4 * LOW / 60)
    await run.until(ends)
    await store.close()
    return Score(
        sum(passed for _, passed in sent) / len(sent),
        up_s=first(run.seen, since=rises, until=falls, of=lambda pace: pace >= REACHED),
        down_s=first(run.seen, since=falls, until=ends, of=lambda pace: pace <= LEFT),
    )


if __name__ == "__main__":
    main()
