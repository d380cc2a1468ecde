"""All contenders in turn, round after round, with the same load: throughput, latency and what each spends on a call."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.contenders import Contender
from tests.bench.contenders.contender import ALLOWED, REFUSED
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.load import Load, run
from tests.bench.stage import Stage

SLOW = "200 ms"
STATUS = {ALLOWED: 200, REFUSED: 429, SLOW: 200}
SLOW_CONNECTIONS = {"naive": 16}
"""Beside 1,024 for the others: it serves one call at a time, so more would only lengthen its queue."""
_COLUMNS = (
    *("Contender", "calls/s", "server CPU per call", "calls per CPU second", "of one core", "store CPU per call"),
    *("p50", "p99", "failed"),
)
_HOW = (
    "{connections} connections, each calling again as soon as it is answered; {rounds} rounds of {seconds:g} s in turn;"
    " medians. The load generator used {generator:.0f} µs of the machine per call at the first row's rate."
)


@dataclass(frozen=True, slots=True)
class Round:
    """One contender's turn in one round."""

    load: Load
    cpu_s: float
    store_cpu_s: float
    failed: int

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / max(1, self.load.answered) * 1e6

    @property
    def busy(self) -> float:
        """Cores that the server kept busy."""
        return self.cpu_us / 1e6 * self.load.per_second


@dataclass(frozen=True, slots=True)
class Standing:
    """A contender's rounds in one scenario."""

    contender: Contender
    rounds: list[Round]

    def median(self, figure: Callable[[Round], float]) -> float:
        return statistics.median(figure(one) for one in self.rounds)

    @property
    def per_second(self) -> float:
        return self.median(lambda one: one.load.per_second)

    @property
    def cpu_us(self) -> float:
        return self.median(lambda one: one.cpu_us)

    def row(self) -> list[str]:
        store_us = self.median(lambda one: one.store_cpu_s / max(1, one.load.answered) * 1e6)
        return [
            self.contender.label,
            f"{self.per_second:,.0f}",
            f"{self.cpu_us:,.0f} µs",
            f"{1e6 / max(1e-9, self.cpu_us):,.0f}",
            f"{self.median(lambda one: one.busy) * 100:.0f} %",
            f"{store_us:,.0f} µs",
            f"{self.median(lambda one: one.load.percentile_ms(50)):,.1f} ms",
            f"{self.median(lambda one: one.load.percentile_ms(99)):,.1f} ms",
            str(sum(one.failed for one in self.rounds)),
        ]


def measure(stage: Stage, effort: Effort) -> Findings:
    """Allowed and refused calls on an instant upstream, all contenders; a slow upstream, the two that are compared."""
    _warm_up(stage, effort)
    names = list(stage.contenders)
    allowed = _scenario(stage, names, ALLOWED, effort, seconds=effort.seconds)
    refused = _scenario(stage, names, REFUSED, effort, seconds=effort.seconds)
    slow_names = [name for name in names if name in ("gateway", "naive")]
    slow = _scenario(stage, slow_names, SLOW, effort, seconds=effort.slow_seconds)
    tables = [
        _table("Allowed call, instant upstream", allowed, effort, seconds=effort.seconds),
        _table("Refused call", refused, effort, seconds=effort.seconds),
    ]
    if slow:
        tables.append(_table("Allowed call, upstream of 200 ms", slow, effort, seconds=effort.slow_seconds))
    return Findings(
        tables=tables,
        reaches=list(_reaches(allowed, refused, slow)),
    )


def turn(stage: Stage, contender: Contender, kind: str, *, connections: int, seconds: float) -> Round:
    """One contender under load."""
    cpu, store = contender.server.cpu_s(), stage.store_cpu_s()
    load = run(contender.targets[kind], connections=connections, seconds=seconds)
    return Round(
        load=load,
        cpu_s=contender.server.cpu_s() - cpu,
        store_cpu_s=stage.store_cpu_s() - store,
        failed=load.others(STATUS[kind]),
    )


def _warm_up(stage: Stage, effort: Effort) -> None:
    """Fill connection pools and caches, and each strict window, so that nothing of it falls into a round."""
    for contender in stage.contenders.values():
        for kind in (ALLOWED, REFUSED):
            run(contender.targets[kind], connections=effort.connections, seconds=effort.warm_seconds)


def _scenario(stage: Stage, names: list[str], kind: str, effort: Effort, *, seconds: float) -> dict[str, Standing]:
    standings = {name: Standing(stage.contenders[name], []) for name in names}
    for _ in range(effort.rounds):
        for name, standing in standings.items():
            connections = SLOW_CONNECTIONS.get(name, 1024) if kind == SLOW else effort.connections
            standing.rounds.append(turn(stage, standing.contender, kind, connections=connections, seconds=seconds))
    return standings


def _table(title: str, standings: dict[str, Standing], effort: Effort, *, seconds: float) -> Table:
    first = next(iter(standings.values()))
    generator = first.median(lambda one: one.load.own_cpu_s / max(1, one.load.answered) * 1e6)
    slow = "200" in title
    how = _HOW.format(
        connections="1,024 (the naive proxy: 16)" if slow else effort.connections,
        rounds=effort.rounds,
        seconds=seconds,
        generator=generator,
    )
    return Table(title=title, how=how, columns=_COLUMNS, rows=[standing.row() for standing in standings.values()])


def _reaches(allowed: dict[str, Standing], refused: dict[str, Standing], slow: dict[str, Standing]) -> Iterator[Reach]:
    wanted = (
        ("allowed call, throughput beside nginx + Lua", allowed, "nginx", 0.30, 0.40),
        ("refused call, throughput beside nginx + Lua", refused, "nginx", 0.35, 0.50),
        ("allowed call, throughput beside the naive proxy", allowed, "naive", 4.0, 5.0),
        ("the same with an upstream of 200 ms", slow, "naive", 200.0, None),
    )
    for what, standings, other, goal, next_goal in wanted:
        if "gateway" in standings and other in standings:
            ratio = standings["gateway"].per_second / max(1e-9, standings[other].per_second)
            yield Reach(what=what, measured=ratio, goal=goal, next_goal=next_goal, unit=TIMES)
