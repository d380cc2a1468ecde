"""All contenders in turn, round after round, with the same load: above all what each spends on a call.

They are judged by processor time per call, not by calls per second: a machine that is busy otherwise changes the rates
of all of them, and towards each other, but hardly what a call costs. Figures set beside each other are of one round.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.bench.contenders import Contender
from tests.bench.contenders.contender import ALLOWED, REFUSED
from tests.bench.effort import Effort
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.load import Load, run
from tests.bench.stage import Stage

SLOW = "200 ms"
STATUS = {ALLOWED: 200, REFUSED: 429, SLOW: 200}
OURS = "gateway"
_COLUMNS = (
    *("Contender", "server CPU per call", "calls per CPU second", "beside this gateway (range)"),
    *("store CPU per call", "of one core", "calls/s", "p50", "p99", "failed"),
)
_HOW = (
    "{connections} connections, each calling again as soon as it is answered; {rounds} rounds of {seconds:g} s in turn;"
    " medians. Beside this gateway: calls per CPU second, round by round. The load generator used {generator:.0f} µs of"
    " the machine per call at the first row's rate."
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
        """Processor time of the server for a call."""
        return self.cpu_s / max(1, self.load.answered) * 1e6

    @property
    def store_us(self) -> float:
        return self.store_cpu_s / max(1, self.load.answered) * 1e6

    @property
    def busy(self) -> float:
        """Cores that the server kept busy."""
        return self.cpu_us / 1e6 * self.load.per_second


@dataclass(frozen=True, slots=True)
class Standing:
    """A contender's rounds in one scenario."""

    contender: Contender
    rounds: list[Round] = field(default_factory=list)

    def median(self, figure: Callable[[Round], float]) -> float:
        return statistics.median(figure(one) for one in self.rounds)

    def beside(self, other: Standing) -> list[float]:
        """Calls per CPU second as a multiple of the other's, for each round."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return [theirs.cpu_us / max(1e-9, own.cpu_us) for own, theirs in pairs]

    def row(self, ours: Standing | None) -> list[str]:
        cpu_us = self.median(lambda one: one.cpu_us)
        return [
            self.contender.label,
            f"{cpu_us:,.0f} µs",
            f"{1e6 / max(1e-9, cpu_us):,.0f}",
            _range(self.beside(ours)) if ours and ours is not self else "",
            f"{self.median(lambda one: one.store_us):,.0f} µs",
            f"{self.median(lambda one: one.busy) * 100:.0f} %",
            f"{self.median(lambda one: one.load.per_second):,.0f}",
            f"{self.median(lambda one: one.load.percentile_ms(50)):,.1f} ms",
            f"{self.median(lambda one: one.load.percentile_ms(99)):,.1f} ms",
            str(sum(one.failed for one in self.rounds)),
        ]


@dataclass(frozen=True, slots=True)
class Goal:
    """What our calls per CPU second (or per second) shall be as a multiple of another contender's."""

    what: str
    other: str
    least: float
    next_goal: float | None = None
    by_rate: bool = False

    def reach(self, standings: Mapping[str, Standing]) -> Reach | None:
        """None where either did not take part."""
        if OURS not in standings or self.other not in standings:
            return None
        ours, other = standings[OURS], standings[self.other]
        ratio = statistics.median(_rates(ours, other) if self.by_rate else ours.beside(other))
        return Reach(what=self.what, measured=ratio, goal=self.least, next_goal=self.next_goal, unit=TIMES)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of call. ``connections``: of those contenders that get another number than the effort says."""

    kind: str
    title: str
    goals: tuple[Goal, ...]
    only: tuple[str, ...] = ()
    connections: Mapping[str, int] = field(default_factory=dict)

    def measure(self, stage: Stage, effort: Effort) -> Findings:
        names = [name for name in stage.contenders if not self.only or name in self.only]
        if not names:
            return Findings(notes=[f"{self.title}: none of its contenders takes part."])
        standings = {name: Standing(stage.contenders[name]) for name in names}
        for standing in standings.values():
            self._turn(stage, standing, effort, seconds=effort.warm_seconds)
        seconds = effort.slow_seconds if self.kind == SLOW else effort.seconds
        for number in range(effort.rounds):
            # There and back again, so that no contender always comes after the same other one.
            for standing in list(standings.values())[:: -1 if number % 2 else 1]:
                standing.rounds.append(self._turn(stage, standing, effort, seconds=seconds))
            _say(self.title, number, standings)
        goals = [reach for goal in self.goals if (reach := goal.reach(standings))]
        return Findings(tables=[self._table(standings, effort, seconds=seconds)], reaches=goals)

    def _turn(self, stage: Stage, standing: Standing, effort: Effort, *, seconds: float) -> Round:
        connections = self.connections.get(standing.contender.name, effort.connections)
        return turn(stage, standing.contender, self.kind, connections=connections, seconds=seconds)

    def _table(self, standings: Mapping[str, Standing], effort: Effort, *, seconds: float) -> Table:
        first = next(iter(standings.values()))
        how = _HOW.format(
            connections=_and([f"{self.connections.get(name, effort.connections):,}" for name in standings]),
            rounds=effort.rounds,
            seconds=seconds,
            generator=first.median(lambda one: one.load.own_cpu_s / max(1, one.load.answered) * 1e6),
        )
        rows = [standing.row(standings.get(OURS)) for standing in standings.values()]
        return Table(title=self.title, how=how, columns=_COLUMNS, rows=rows)


ALLOWED_CALL = Scenario(
    ALLOWED,
    "Allowed call, instant upstream",
    (
        Goal("allowed call, calls per CPU second beside nginx + Lua", "nginx", 0.30, 0.40),
        Goal("allowed call, calls per CPU second beside the naive proxy", "naive", 4.0, 5.0),
    ),
)
REFUSED_CALL = Scenario(
    REFUSED,
    "Refused call",
    (Goal("refused call, calls per CPU second beside nginx + Lua", "nginx", 0.35, 0.50),),
)
SLOW_UPSTREAM = Scenario(
    SLOW,
    "Allowed call, upstream of 200 ms",
    (Goal("calls/s beside the naive proxy, which waits for each call", "naive", 200.0, by_rate=True),),
    only=(OURS, "naive"),
    # The naive proxy serves one call at a time, so more would only lengthen its queue.
    connections={OURS: 1024, "naive": 16},
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


def _rates(ours: Standing, other: Standing) -> Iterator[float]:
    for own, theirs in zip(ours.rounds, other.rounds, strict=True):
        yield own.load.per_second / max(1e-9, theirs.load.per_second)


def _range(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} {TIMES} ({min(values):.2f} to {max(values):.2f})"


def _and(values: list[str]) -> str:
    return " and ".join(dict.fromkeys(values))


def _say(title: str, number: int, standings: Mapping[str, Standing]) -> None:
    """What a round found, at once: a bench that is ended in a scenario leaves its rounds on the console."""
    costs = ", ".join(f"{name} {standing.rounds[number].cpu_us:.0f} µs" for name, standing in standings.items())
    print(f"    {title}, round {number + 1}: {costs} of CPU per call", file=sys.stderr, flush=True)
