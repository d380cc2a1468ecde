"""Scores of all controllers in a scenario, as a table, and how far ours reaches the goals."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from tests.bench import report
from tests.bench.control.contenders import CONTENDERS
from tests.bench.control.scores import Scores
from tests.bench.control.unit import Scenario
from tests.bench.findings import Findings, Reach, Table

OURS = "learned"
_COLUMNS: tuple[tuple[str, Callable[[Scores], float], str], ...] = (
    ("p95 over T", lambda s: s.over, ".0%"),
    ("p95 ms", lambda s: s.p95_ms, ",.0f"),
    ("sd/mean", lambda s: s.swing, ".2f"),
    ("refused", lambda s: s.refused, ".1%"),
    ("while a server idled", lambda s: s.idle, ".1%"),
    ("before", lambda s: s.steady, ".1%"),
    ("quiet tenants admitted", lambda s: s.quiet, ".0%"),
    ("recovery s", lambda s: s.recovery_s, ".0f"),
)

_RECOVERIES = (("halved", 15), ("halved-5", 15), ("ramp", 15), ("bursts", 15), ("small", 30), ("small-late", 30))


@dataclass(frozen=True, slots=True)
class Oracle:
    """The best fixed limit in flight, and its good calls a second by seed."""

    limit: int
    good: Sequence[float]


@dataclass(frozen=True, slots=True)
class Judged:
    """All runs of one scenario; ``oracle`` None where no limit can help."""

    scenario: Scenario
    seeds: int
    oracle: Oracle | None
    scores: Mapping[str, Sequence[Scores]]

    def shares(self, name: str) -> list[float]:
        """Of the oracle, by seed."""
        if self.oracle is None:
            return []
        return [found.good / best for found, best in zip(self.scores[name], self.oracle.good, strict=True)]


def section(judged: Judged) -> str:
    """The scenario's table."""
    best = ""
    if judged.oracle:
        good = statistics.fmean(judged.oracle.good)
        best = f" Oracle: {judged.oracle.limit} in flight, {good:.1f} good calls a second."
    table = Table(
        title=judged.scenario.name,
        how=f"{judged.scenario.what[:1].upper()}{judged.scenario.what[1:]}. {judged.seeds} seeds.{best}",
        columns=("Controller", "good/s", "of the oracle", "worst seed", *(name for name, _, _ in _COLUMNS)),
        rows=[_row(judged, name) for name in judged.scores],
    )
    return report.render({}, Findings(tables=[table])).replace("\n\n<sub></sub>", "")


def _row(judged: Judged, name: str) -> list[str]:
    found, shares = judged.scores[name], judged.shares(name)
    of_oracle = (f"{statistics.fmean(shares):.2f}", f"{min(shares):.2f}") if shares else ("", "")
    good = f"{statistics.fmean(each.good for each in found):.1f}"
    figures = (format(statistics.fmean(map(of, found)), style) for _, of, style in _COLUMNS)
    return [CONTENDERS[name].what, good, *of_oracle, *figures]


FAIRNESS = ("halved-5", "noisy")
"""Scenarios whose tenants call alike, and with one that calls four times as much."""


def fairness(found: Mapping[str, Judged]) -> str:
    """How the controllers divide the calls that they admit among the tenants."""
    names = [name for name in FAIRNESS if name in found]
    first = found[names[0]].scores

    def figures(controller: str) -> list[str]:
        runs = [found[name].scores[controller] for name in names]
        means = (statistics.fmean(map(of, each)) for each in runs for of in (attrgetter("jain"), attrgetter("least")))
        return [f"{each:.2f}" for each in means]

    table = Table(
        title="Fairness",
        how="Each tenant's admitted calls, divided by its max-min fair share of all admitted calls: Jain's index"
        " over the ten tenants, and the quotient of the tenant that is worst off. 1 is fair."
        f" {found[names[0]].seeds} seeds.",
        columns=("Controller", *(f"{name}: {what}" for name in names for what in ("Jain's index", "worst tenant"))),
        rows=[[CONTENDERS[each].what, *figures(each)] for each in first],
    )
    return report.render({}, Findings(tables=[table])).replace("\n\n<sub></sub>", "")


def worth(runs: Iterable[tuple[Scenario, Scores, float]]) -> float:
    """Of a controller that is tuned: good calls where a limit helps, less the refused ones where it does not.

    p95 over the threshold in more than a quarter of the time costs too, where capacity is halved.
    """
    helped, refused = [], []
    for scenario, found, share in runs:
        if scenario.load:
            over = max(0.0, found.over - 0.25) if scenario.name == "halved-5" else 0.0
            helped.append(min(1.0, share) - over / 2)
        else:
            refused.append(found.refused)
    return statistics.fmean(helped) - statistics.fmean(refused)


def goals(found: Mapping[str, Judged]) -> str:
    """What ours reaches, as far as the scenarios were run."""
    reaches = [reach for reach in _reaches(found) if reach]
    return report.render({}, Findings(reaches=reaches)).replace("\n\n<sub></sub>", "")


def _reaches(found: Mapping[str, Judged]) -> Iterable[Reach | None]:
    def mean(name: str, what: str, of: Callable[[Scores], float], goal: float) -> Reach | None:
        if name not in found or OURS not in found[name].scores:
            return None
        return Reach(f"{name}: {what}", statistics.fmean(map(of, found[name].scores[OURS])), goal, "", most=True)

    for name, goal in (("halved", 0.90), ("halved-5", 0.90), ("push", 0.90), ("ramp", 0.88), ("bursts", 0.88)):
        if name in found and (shares := found[name].shares(OURS) if OURS in found[name].scores else []):
            yield Reach(f"{name}: good, of the oracle", statistics.fmean(shares), goal, "")
            if goal == 0.90:
                yield Reach(f"{name}: the same, worst seed", min(shares), 0.85, "")
    yield mean("halved", "share of 5 s slices with p95 over T", lambda s: s.over, 0.25)
    yield mean("halved", "sd/mean of the admitted rate", lambda s: s.swing, 0.10)
    yield mean("halved", "refused while a server idled", lambda s: s.idle, 0.02)
    yield mean("later", "refused, not load", lambda s: s.refused, 0.10)
    yield mean("much-later", "refused, not load", lambda s: s.refused, 0.10)
    yield mean("one-in-20", "refused, not load", lambda s: s.refused, 0.05)
    yield mean("steady", "refused", lambda s: s.refused, 0.01)
    for name, goal in (
        ("halved", 15),
        ("halved-5", 15),
        ("ramp", 15),
        ("bursts", 15),
        ("small", 30),
        ("small-late", 30),
    ):
        yield mean(name, "recovery, s", lambda s: s.recovery_s, goal)
