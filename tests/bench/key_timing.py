"""Whether the time in which a wrong key is refused tells how much of it was right: Welch's t of two kinds in turn."""

from __future__ import annotations

import math
import random
import secrets
import statistics
import string
import time
from collections.abc import Sequence

from tenants import credentials
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.load import percentile
from tests.bench.stage import Stage

_EACH = 10_000
_LETTERS = string.ascii_letters + string.digits
_SUSPICIOUS = 4.5
"""Of |t|: what tests for leaks by time take for one."""
FIRST, LAST = "first character of the secret wrong", "last character wrong"


def measure(stage: Stage, effort: Effort) -> Findings:
    token = f"qk_{'a' * credentials.PREFIX_LENGTH}_{secrets.token_urlsafe(41)}"
    kept = credentials.digest(token)
    place = {FIRST: len("qk__") + credentials.PREFIX_LENGTH, LAST: len(token) - 1}
    took: dict[str, list[int]] = {name: [] for name in place}
    order = [name for name in place for _ in range(_EACH)]
    random.Random(0).shuffle(order)
    for name, wrong in [(name, _other(token, place[name])) for name in order]:  # where a text lies must not count
        started = time.perf_counter_ns()
        credentials.matches(wrong, kept)
        took[name].append(time.perf_counter_ns() - started)
    most = percentile([each for times in took.values() for each in times], 95)  # the rest was interrupted
    usual = {name: [each for each in times if each <= most] for name, times in took.items()}
    t = abs(welch(usual[FIRST], usual[LAST]))
    rows = [
        [name, f"{len(times):,}", f"{statistics.mean(times):,.1f} ns", f"{statistics.stdev(times):,.1f} ns"]
        for name, times in usual.items()
    ]
    how = f"{_EACH:,} comparisons of each kind, in random order, without the slowest twentieth. Welch's |t|: {t:.2f}."
    return Findings(
        tables=[Table("Time to compare a wrong key", how, ("Key", "comparisons", "mean", "deviation"), rows)],
        reaches=[Reach("time to compare wrong keys, Welch's |t|", t, _SUSPICIOUS, "", most=True)],
    )


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Welch's t of two samples."""
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.mean(one) - statistics.mean(other)) / math.sqrt(spread) if spread else 0.0


def _other(token: str, at: int) -> str:
    return token[:at] + secrets.choice(_LETTERS.replace(token[at], "")) + token[at + 1 :]
