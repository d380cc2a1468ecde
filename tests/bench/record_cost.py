"""What the audit record costs a refused call: the same gateway with and without it, in turn."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Iterator, Mapping

from tests.bench.contenders import gateway
from tests.bench.contenders.contender import REFUSED, Contender
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.side_by_side import Round, turn
from tests.bench.stage import Stage

WITH, WITHOUT = "with the record", "without"
APPLICATIONS = {WITH: gateway.APPLICATION, WITHOUT: "tests.bench.contenders.unrecorded:application"}


def measure(stage: Stage, effort: Effort) -> Findings:
    rounds: dict[str, list[Round]] = {name: [] for name in APPLICATIONS}
    with _contenders(stage) as contenders:
        for contender in contenders.values():
            turn(stage, contender, REFUSED, connections=effort.connections, seconds=effort.warm_seconds)
        for _ in range(effort.rounds):
            for name, contender in contenders.items():
                rounds[name].append(
                    turn(stage, contender, REFUSED, connections=effort.connections, seconds=effort.seconds)
                )
    rows = [
        [
            name,
            f"{_median(seen, lambda one: one.load.per_second):,.0f}",
            f"{_median(seen, lambda one: one.cpu_us):.1f} µs",
            f"{_median(seen, lambda one: one.store_us):.1f} µs",
            f"{_median(seen, _whole_us):.1f} µs",
        ]
        for name, seen in rounds.items()
    ]
    how = (
        f"The same gateway, {effort.connections} connections, {effort.rounds} rounds of {effort.seconds:g} s in turn;"
        " medians. Without: the deciding script makes no event of a refusal; it counts usage all the same."
    )
    ratio = _median(rounds[WITH], _whole_us) / _median(rounds[WITHOUT], _whole_us)
    columns = ("Refused call", "calls/s", "server CPU", "store CPU", "both")
    return Findings(
        tables=[Table("What the record of a refusal costs", how, columns, rows)],
        reaches=[
            Reach("processor time of a refused call, with its record beside without", ratio, 1.25, TIMES, most=True)
        ],
    )


def _median(rounds: list[Round], figure: Callable[[Round], float]) -> float:
    return statistics.median(figure(one) for one in rounds)


def _whole_us(one: Round) -> float:
    return one.cpu_us + one.store_us


@contextlib.contextmanager
def _contenders(stage: Stage) -> Iterator[Mapping[str, Contender]]:
    """Both, on data of their own; ended on the way out."""
    with contextlib.ExitStack() as stack:
        made = {}
        for number, (name, application) in enumerate(APPLICATIONS.items(), start=2):
            directory = stage.rig.directory / f"record-{number}"
            directory.mkdir()
            # A database of the store for each: two deployments in one would read each other's tenants.
            redis_url = f"{stage.rig.redis_url.removesuffix('/0')}/{number}"
            own = dataclasses.replace(stage.rig, directory=directory, redis_url=redis_url)
            made[name] = gateway.start(own, application=application)
            stack.callback(made[name].server.stop)
        for contender in made.values():
            contender.server.wait_until_listening()
        yield made
