"""What recorded calls would have used of a limit: their units by the second, counted as its algorithm counts.

Units in a second may have come at any instant of it, so a count is the least that is certain: a limit that is passed
here was passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from limiter.core.algorithms import rules_of
from limiter.core.types import MICROS, CountedPer, Limit

Ints = npt.NDArray[np.int64]


class RecordedUnits(NamedTuple):
    """The units of allowed calls: ``seconds`` of the epoch, ascending, and the ``units`` of each."""

    seconds: Ints
    units: Ints


NONE = RecordedUnits(np.zeros(0, np.int64), np.zeros(0, np.int64))


def together(parts: Iterable[tuple[Iterable[int], Iterable[int]]]) -> RecordedUnits:
    """Of several calls' seconds and units, in any order."""
    pairs = [(np.asarray(seconds, np.int64), np.asarray(units, np.int64)) for seconds, units in parts]
    if not pairs:
        return NONE
    seconds, place = np.unique(np.concatenate([pair[0] for pair in pairs]), return_inverse=True)
    units = np.zeros(seconds.size, np.int64)
    np.add.at(units, place, np.concatenate([pair[1] for pair in pairs]))
    return RecordedUnits(seconds, units)


def may_refuse_more(held: Limit, wanted: Limit) -> bool:
    """Whether there are calls that the wanted limit refuses and the held one does not."""
    rules = rules_of(wanted.algorithm)
    if held.algorithm != wanted.algorithm or rules.capacity(wanted) < rules.capacity(held):
        return True
    if rules.is_window:
        return wanted.window_us > held.window_us
    return wanted.quota * held.window_us < held.quota * wanted.window_us


def can_replay(held: Limit, wanted: Limit) -> bool:
    """Whether recorded units show the use of both: they are not kept by key, by value, or by the end of a call."""
    alike = held.counted_per == wanted.counted_per != CountedPer.KEY
    return alike and all(limit.window_us and not limit.counted_by for limit in (held, wanted))


def at_once(limit: Limit, recorded: RecordedUnits) -> int:
    """The most units that would have been in use at once had it refused none."""
    rules = rules_of(limit.algorithm)
    if not limit.window_us or not recorded.seconds.size:
        return 0
    sums = np.concatenate([[0], np.cumsum(recorded.units)])
    if rules.is_window:
        length = max(1, limit.window_us // MICROS)
        first = np.searchsorted(recorded.seconds, recorded.seconds - length, side="right")
        return int((sums[1:] - sums[first]).max())
    # Units that a bucket would have had to hold: those of a stretch of time, less the ones that came back in it.
    a_second = limit.quota * MICROS / limit.window_us
    came_back = (recorded.seconds - recorded.seconds[0]) * a_second
    highest = (sums[1:] - came_back - a_second) - np.minimum.accumulate(sums[:-1] - came_back)
    return max(0, math.floor(float(highest.max()) + 1e-6))


def excess(limit: Limit, recorded: RecordedUnits) -> int:
    """The units by which it would have been passed."""
    return max(0, at_once(limit, recorded) - rules_of(limit.algorithm).capacity(limit))
