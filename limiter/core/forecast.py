"""When a limit will be full if calls go on as they do: from what its count holds now, and how fast units come.

A sliding window fills by what comes and empties by what leaves, and when each unit leaves is known. With ``used``
units held, of which ``gone(t)`` leave within ``t``, and units coming at a steady ``pace``, it is full at the first
``t`` at which ``used - gone(t) + pace t`` reaches the limit. After a whole window all that was held has left and what
comes leaves as fast, so a window that is not full by then never will be. A token bucket fills by what comes and is
drained at its refill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limiter.core.types import COUNTER_SLICES, MICROS, PPM, Algorithm, Limit

POINTS = 60
"""A log is told in so many blocks at most: a forecast errs early, by what a sixtieth of the units makes of it."""
_SHORTEST_US, _LONGEST_US = 5 * MICROS, 30 * MICROS
_FEWEST_US = 4 * MICROS
"""Two readings of a bucket have to lie so far apart to tell a pace."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a limit's count held at ``at_us`` (the store's clock, microseconds).

    ``used``: units; of a token bucket also a part of one. ``pace``: units that came a second, lately; None where a
    single look cannot tell (a token bucket, or a window with one call in it). ``leaves``: (microseconds from
    ``at_us``, units) in order of time, for sliding windows.
    """

    at_us: int
    used: float
    pace: float | None = None
    leaves: tuple[tuple[int, int], ...] = ()


def look_back_us(limit: Limit) -> int:
    """How much of the past a pace is told from: a sixth of the window, within 5 to 30 seconds, in microseconds."""
    return min(_LONGEST_US, max(_SHORTEST_US, limit.window_us // 6))


def refill(limit: Limit, multiplier_ppm: int) -> int:
    """Units per window that a token bucket gives back while the multiplier is in force."""
    return max(1, limit.quota * multiplier_ppm // PPM) if limit.adaptive else limit.quota


def read(limit: Limit, reply: Sequence[int]) -> Held:
    """The answer of ``held.lua``."""
    at_us, used, came, over_us, of_last, silent_us, *pairs = reply
    if limit.algorithm is Algorithm.TOKEN_BUCKET:
        return Held(at_us, used / limit.window_us)
    leaves = tuple(zip(pairs[::2], pairs[1::2], strict=True))
    return Held(at_us, used, _pace(came, over_us, of_last=of_last, silent_us=silent_us), leaves)


def _pace(came: int, over_us: int, *, of_last: int, silent_us: int) -> float | None:
    """Units a second. Silence counts once it is longer than the calls were apart: until then the next is not late."""
    if came <= 0 or over_us <= 0:
        return None
    apart_us = over_us * of_last / came
    return came * MICROS / (over_us + max(0.0, silent_us - apart_us))


def full_in_us(limit: Limit, held: Held, *, effective: int, earlier: Held | None = None) -> int | None:
    """Microseconds from ``held.at_us`` until no unit is left at the present pace; None when it will not come to that.

    ``effective``: units, as in :class:`~limiter.core.types.LimitState`. ``earlier``: what a token bucket held some
    seconds before, without which its pace is not known. Also None for concurrency: how long calls will run, and so how
    many will run at once (Little's law), is for the upstream to say.
    """
    if limit.algorithm is Algorithm.CONCURRENCY:
        return None
    if limit.algorithm is Algorithm.TOKEN_BUCKET:
        return _bucket_full_in_us(held, effective=effective, earlier=earlier)
    if held.used >= effective:
        return 0
    if held.pace is None:
        return None
    return _window_full_in_us(held, effective=effective, pace=held.pace / MICROS, kept_us=_kept_us(limit))


def _kept_us(limit: Limit) -> int:
    """How long a unit is counted, at most: a counter keeps it until the whole slice that it came in has left."""
    slice_us = -(-limit.window_us // COUNTER_SLICES) if limit.algorithm is Algorithm.SLIDING_COUNTER else 0
    return limit.window_us + slice_us


def _window_full_in_us(held: Held, *, effective: int, pace: float, kept_us: int) -> int | None:
    """Between two leavings the count grows evenly, so that it is full in the first stretch that is long enough.

    Of the stretches (starting with now, and after each leaving) the first in which ``effective - used + gone`` units
    come before the next leaving is the one; the last ends when everything held now, and it alone, has left.
    """
    ends = np.array([at for at, _ in held.leaves] + [kept_us], dtype=np.float64)
    gone = np.cumsum([0, *(units for _, units in held.leaves)], dtype=np.float64)
    full = (effective - held.used + gone) / pace
    within = np.flatnonzero(full <= ends)
    return None if within.size == 0 else math.ceil(full[within[0]])


def _bucket_full_in_us(held: Held, *, effective: int, earlier: Held | None) -> int | None:
    room = effective - 1 - held.used  # Less than one unit left is none.
    if room < 0:
        return 0
    if earlier is None or held.at_us - earlier.at_us < _FEWEST_US:
        return None
    net = (held.used - earlier.used) / (held.at_us - earlier.at_us)
    return math.ceil(room / net) if net > 0 else None
