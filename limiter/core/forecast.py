"""When a limit will be full if calls go on as they do: from what its count holds now, and how fast units come.

A sliding window fills by what comes and empties by what leaves, and when each unit leaves is known. With ``used``
units held, of which ``gone(t)`` leave within ``t``, and units coming at a steady ``pace``, it is full at the first
``t`` at which ``used - gone(t) + pace t`` reaches the limit. After a whole window all that was held has left and what
comes leaves as fast, so a window that is not full by then never will be. A token bucket fills by what comes and is
drained at its refill.
"""

from __future__ import annotations

from collections.abc import Sequence

from limiter.core.algorithms import rules_of
from limiter.core.held import Holding
from limiter.core.types import MICROS, PPM, Limit

POINTS = 60
"""A log is read in so many blocks at most: a forecast errs early, by a sixtieth of the units."""
_SHORTEST_US, _LONGEST_US = 5 * MICROS, 30 * MICROS


def look_back_us(limit: Limit) -> int:
    """How much of the past a pace is measured over: a sixth of the window, within 5 to 30 seconds, in microseconds."""
    return min(_LONGEST_US, max(_SHORTEST_US, limit.window_us // 6))


def refill(limit: Limit, multiplier_ppm: int) -> int:
    """Units per window that a token bucket gives back while the multiplier is in force."""
    return max(1, limit.quota * multiplier_ppm // PPM) if limit.adaptive else limit.quota


def read(limit: Limit, reply: Sequence[int]) -> Holding:
    """The response of ``held.lua``."""
    return rules_of(limit.algorithm).read_held(limit, reply)


def full_in_us(limit: Limit, held: Holding, *, effective: int, earlier: Holding | None = None) -> int | None:
    """Microseconds from ``held.at_us`` until no unit is left at the present pace; None when it will not come to that.

    ``effective``: units, as in :class:`~limiter.core.types.LimitState`. ``earlier``: what a token bucket held some
    seconds before, without which its pace is not known. Also None for concurrency: how long calls will run, and so how
    many will run at once (Little's law), is for the upstream to say.
    """
    return rules_of(limit.algorithm).full_in_us(limit, held, effective=effective, earlier=earlier)
