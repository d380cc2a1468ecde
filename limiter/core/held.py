"""What a limit's count holds, and when it will be full: the arithmetic of :mod:`limiter.core.forecast`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from limiter.core.types import MICROS

_FEWEST_US = 4 * MICROS
"""Two readings of a bucket have to lie so far apart to tell a pace."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a limit's count held at ``at_us`` (the store's clock, microseconds).

    ``used``: units; of a token bucket also a part of one. ``pace``: units that came a second, lately; None where a
    single look cannot tell (a token bucket, or a window with one call in it). ``leaves``: (microseconds from
    ``at_us``, units) in order of time, for sliding windows.
    """

    at_us: int
    used: float
    pace: float | None = None
    leaves: tuple[tuple[int, int], ...] = ()


def pace_of(came: int, over_us: int, *, of_last: int, silent_us: int) -> float | None:
    """Units a second. Silence counts once it is longer than the calls were apart: until then the next is not late."""
    if came <= 0 or over_us <= 0:
        return None
    apart_us = over_us * of_last / came
    return came * MICROS / (over_us + max(0.0, silent_us - apart_us))


def window_full_in_us(held: Holding, *, effective: int, pace: float, kept_us: int) -> int | None:
    """Between two leavings the count grows evenly, so that it is full in the first stretch that is long enough.

    Of the stretches (starting with now, and after each leaving) the first in which ``effective - used + gone`` units
    come before the next leaving is the one; the last ends when everything held now, and it alone, has left.
    """
    ends = np.array([at for at, _ in held.leaves] + [kept_us], dtype=np.float64)
    gone = np.cumsum([0, *(units for _, units in held.leaves)], dtype=np.float64)
    full = (effective - held.used + gone) / pace
    within = np.flatnonzero(full <= ends)
    return None if within.size == 0 else math.ceil(full[within[0]])


def bucket_full_in_us(held: Holding, *, effective: int, earlier: Holding | None) -> int | None:
    room = effective - 1 - held.used  # Less than one unit left is none.
    if room < 0:
        return 0
    if earlier is None or held.at_us - earlier.at_us < _FEWEST_US:
        return None
    net = (held.used - earlier.used) / (held.at_us - earlier.at_us)
    return math.ceil(room / net) if net > 0 else None
