"""How well a unit was protected and used: figures of one run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.bench.control.run import TIMEOUT_US, Fate
from tests.bench.control.unit import S, Scenario

THRESHOLD_US = 800_000
_GOOD_US = S
_SLICE_US, _BIN_US = 5 * S, 10 * S


@dataclass(frozen=True, slots=True)
class Scores:
    """Of the disturbed time. ``good``: calls a second that got a response and waited at most a second for a server.

    ``over``: share of 5 s slices with p95 over the threshold. ``swing``: standard deviation of admitted calls in 10 s,
    divided by their mean. ``steady``: share of calls refused before. ``idle``: share of calls refused while a server
    had nothing to do. ``recovery_s``: from the end of the disturbance to the end of the last 5 s slice in which more
    than 5 % were refused. ``quiet``: share of the calls of all but the first tenant that was admitted. ``jain``: Jain's
    index over the tenants' admitted calls, each divided by its max-min fair share of all admitted calls; 1 is fair.
    ``least``: that quotient of the tenant that is worst off.
    """

    good: float
    over: float
    swing: float
    refused: float
    idle: float
    steady: float
    recovery_s: float
    p95_ms: float
    quiet: float
    jain: float
    least: float


def score(scenario: Scenario, fates: Sequence[Fate]) -> Scores:
    begin_us = scenario.warm_s * S
    end_us = begin_us + scenario.disturbed_s * S
    during = [fate for fate in fates if begin_us <= fate.at_us < end_us]
    good = [
        f
        for f in during
        if not f.refused and f.latency_us is not None and f.waited_us <= _GOOD_US and f.latency_us < TIMEOUT_US
    ]
    quotients = _of_fair_share(during)
    settled = [f for f in fates if 30 * S <= f.at_us < begin_us]
    return Scores(
        good=len(good) / scenario.disturbed_s,
        over=_over(fates, begin_us, end_us),
        swing=_swing(during, begin_us, end_us),
        refused=_share(f.refused for f in during),
        idle=_share(f.idle for f in during),
        steady=_share(f.refused for f in settled),
        recovery_s=_recovery_s([f for f in fates if f.at_us >= end_us], end_us),
        p95_ms=float(np.percentile([f.latency_us for f in during if f.latency_us is not None] or [0], 95)) / 1000,
        quiet=_quiet(during),
        jain=sum(quotients) ** 2 / (len(quotients) * sum(each**2 for each in quotients)) if any(quotients) else 1.0,
        least=min(quotients, default=1.0),
    )


def _share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / len(found) if found else 0.0


def _over(fates: Iterable[Fate], begin_us: int, end_us: int) -> float:
    slices: dict[int, list[int]] = {}
    for fate in fates:
        if fate.latency_us is not None and begin_us <= fate.ended_us < end_us:
            slices.setdefault((fate.ended_us - begin_us) // _SLICE_US, []).append(fate.latency_us)
    return _share(float(np.percentile(each, 95)) > THRESHOLD_US for each in slices.values())


def _swing(during: Iterable[Fate], begin_us: int, end_us: int) -> float:
    bins = [0] * ((end_us - begin_us) // _BIN_US)
    for fate in during:
        at = (fate.at_us - begin_us) // _BIN_US
        if not fate.refused and at < len(bins):
            bins[at] += 1
    mean = statistics.fmean(bins) if bins else 0
    return statistics.pstdev(bins) / mean if mean else 0.0


def _recovery_s(after: Sequence[Fate], end_us: int) -> float:
    slices: dict[int, list[bool]] = {}
    for fate in after:
        slices.setdefault((fate.at_us - end_us) // _SLICE_US, []).append(fate.refused)
    late = [at for at, refused in slices.items() if _share(refused) > 0.05]
    return (max(late) + 1) * _SLICE_US / S if late else 0.0


def _asked(during: Iterable[Fate]) -> dict[int, list[bool]]:
    """Of each tenant's calls, whether they were admitted."""
    asked: dict[int, list[bool]] = {}
    for fate in during:
        asked.setdefault(fate.tenant, []).append(not fate.refused)
    return asked


def _quiet(during: Iterable[Fate]) -> float:
    return _share(admitted for tenant, each in _asked(during).items() if tenant for admitted in each)


def _of_fair_share(during: Iterable[Fate]) -> list[float]:
    """Each tenant's admitted calls, divided by its max-min fair share of all admitted calls."""
    asked = _asked(during)
    shares = max_min({tenant: len(each) for tenant, each in asked.items()}, sum(map(sum, asked.values())))
    return [sum(each) / shares[tenant] for tenant, each in asked.items() if shares[tenant]]


def max_min(wants: Mapping[int, float], total: float) -> dict[int, float]:
    """``total`` divided so that no tenant gets more without another, which has no more, getting less."""
    shares, left = dict.fromkeys(wants, 0.0), total
    for number, tenant in enumerate(sorted(wants, key=lambda each: wants[each])):
        shares[tenant] = min(wants[tenant], left / (len(wants) - number))
        left -= shares[tenant]
    return shares
