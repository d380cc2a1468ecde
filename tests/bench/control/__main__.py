"""The command line: runs the controllers through the scenarios and writes each scenario's table as it is done.

``python -m tests.bench.control --scenarios halved --controllers learned --seeds 1 --dry`` takes seconds.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.util import Finalize
from pathlib import Path
from typing import NamedTuple

from limiter.core.store import Store
from quota_platform.embedded import start_valkey
from quota_platform.env import BASE_DIR
from tests.bench import report
from tests.bench.control import judged, scenarios
from tests.bench.control.contenders import CONTENDERS, Parameters
from tests.bench.control.controllers import InFlight
from tests.bench.control.run import Controller, run
from tests.bench.control.scores import Scores, score
from tests.bench.control.stored import Direct
from tests.bench.control.unit import Scenario, calls

DOCUMENT = BASE_DIR / "docs" / "control.md"
ORACLES = (2, 3, 5, 7, 8, 10, 12, 16, 18, 20, 24)
"""Fixed limits in flight; the best of them, in hindsight and for all seeds, is the oracle."""


class Job(NamedTuple):
    """One run. ``fixed``: of a limit of so many in flight, in place of a controller."""

    scenario: str
    seed: int
    controller: str = ""
    fixed: int = 0
    stored: bool = False
    parameters: tuple[tuple[str, float], ...] = ()


def main() -> None:
    arguments = _arguments()
    seeds = range(arguments.seeds[0], arguments.seeds[1] + 1)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        if arguments.tune:
            for name in arguments.controllers:
                _tune(pool, name, seeds)
            return
        found: dict[str, judged.Judged] = {}
        for name in arguments.scenarios:
            found[name] = _compare(pool, scenarios.BY_NAME[name], arguments.controllers, seeds, arguments.stored)
            section = judged.section(found[name])
            print(section, end="\n\n", flush=True)
            if not arguments.dry:
                report.put(arguments.out, name.replace("-", "_"), section, order=_order())
        if set(judged.FAIRNESS) <= set(found):
            fairness = judged.fairness(found)
            print(fairness, end="\n\n", flush=True)
            if not arguments.dry:
                report.put(arguments.out, "fairness", fairness, order=_order())
        goals = judged.goals(found)
        print(goals, flush=True)
        if not arguments.dry and set(found) == set(scenarios.BY_NAME):
            report.put(arguments.out, "goals", goals, order=_order())


def _order() -> list[str]:
    return ["goals", "fairness", *(name.replace("-", "_") for name in scenarios.BY_NAME)]


def _compare(
    pool: ProcessPoolExecutor,
    scenario: Scenario,
    controllers: Sequence[str],
    seeds: Sequence[int],
    stored: Sequence[str],
) -> judged.Judged:
    oracle = _oracle(pool, scenario, seeds) if scenario.load else None
    jobs = [Job(scenario.name, seed, name, stored=name in stored) for name in controllers for seed in seeds]
    results = iter(list(pool.map(play, jobs)))
    return judged.Judged(scenario, len(seeds), oracle, {name: [next(results) for _ in seeds] for name in controllers})


def _oracle(pool: ProcessPoolExecutor, scenario: Scenario, seeds: Sequence[int]) -> judged.Oracle:
    jobs = [Job(scenario.name, seed, fixed=limit) for limit in ORACLES for seed in seeds]
    good = iter([found.good for found in pool.map(play, jobs)])
    each = {limit: [next(good) for _ in seeds] for limit in ORACLES}
    best = max(each, key=lambda limit: statistics.fmean(each[limit]))
    return judged.Oracle(best, each[best])


def play(job: Job) -> Scores:
    """One run, in a process of the pool."""
    scenario = scenarios.BY_NAME[job.scenario]
    made = calls(scenario, job.seed)
    return score(scenario, run(scenario, made, _controller(job)))


def _controller(job: Job) -> Controller:
    if job.fixed:
        return InFlight(job.fixed)
    contender = CONTENDERS[job.controller]
    if job.stored and contender.stored:
        return contender.stored(Store(Direct(_store_port())))
    return contender.make(**dict(job.parameters or contender.tuned))


@functools.cache
def _store_port() -> int:
    """Of the store of this process, which ends with it."""
    directory = tempfile.TemporaryDirectory(prefix="quota-control-")
    valkey = start_valkey(directory=Path(directory.name))
    # A process of the pool runs no atexit. Those with the higher priority run first.
    Finalize(None, valkey.stop, exitpriority=1)
    Finalize(None, directory.cleanup, exitpriority=0)
    return valkey.port


def _tune(pool: ProcessPoolExecutor, name: str, seeds: Sequence[int]) -> None:
    """Print what each of a contender's values is worth, the best last."""
    tried = CONTENDERS[name].tried or [{}]
    worth = [(judged.worth(_sample(pool, name, values, seeds)), values) for values in tried]
    for value, values in sorted(worth, key=lambda each: each[0]):
        print(f"{name} {value:.3f} {values}", flush=True)


def _sample(
    pool: ProcessPoolExecutor, name: str, values: Parameters, seeds: Sequence[int]
) -> Iterator[tuple[Scenario, Scores, float]]:
    """Every scenario of five minutes, with the oracle's share."""
    names = [each.name for each in scenarios.ALL if each.disturbed_s == 300]
    jobs = [Job(each, seed, name, parameters=tuple(values.items())) for each in names for seed in seeds]
    for job, found in zip(jobs, pool.map(play, jobs), strict=True):
        scenario = scenarios.BY_NAME[job.scenario]
        best = _best(pool, scenario.name, tuple(seeds)) if scenario.load else found.good
        yield scenario, found, found.good / best


_BESTS: dict[str, float] = {}


def _best(pool: ProcessPoolExecutor, name: str, seeds: tuple[int, ...]) -> float:
    if name not in _BESTS:
        _BESTS[name] = statistics.fmean(_oracle(pool, scenarios.BY_NAME[name], seeds).good)
    return _BESTS[name]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.control", description=__doc__)
    parser.add_argument("--scenarios", nargs="+", choices=list(scenarios.BY_NAME), default=list(scenarios.BY_NAME))
    parser.add_argument("--controllers", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--seeds", nargs=2, type=int, default=(101, 110), metavar=("FIRST", "LAST"))
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--stored", nargs="*", default=[judged.OURS], help="those that run through the product's scripts"
    )
    parser.add_argument("--tune", action="store_true", help="try each contender's values, and print their worth")
    parser.add_argument("--dry", action="store_true", help="print the tables, write nothing")
    parser.add_argument("--out", type=Path, default=DOCUMENT, help="the document to write into")
    return parser.parse_args()


if __name__ == "__main__":
    main()
