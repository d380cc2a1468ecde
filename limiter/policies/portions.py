"""The terms of a tenant in what its connection shares: those of a shared limit of its policies, as parts of the whole.

What a unit bears is learned, and moves, so a floor of 20 of 100 calls a minute is a fifth of it there.
"""

from __future__ import annotations

from collections.abc import Iterable

from limiter.core.algorithms import rules_of
from limiter.core.types import PARTS, Limit, Portion


def portion(shared: Iterable[Limit], like: str) -> Portion:
    """The terms of a tenant under a plan with these ``shared`` limits; ``like``: the one that has them.

    Where there is no such limit all are alike.
    """
    limit = next((each for each in shared if each.name == like), None)
    if limit is None or limit.share is None:
        return Portion()
    share, most = limit.share, rules_of(limit.algorithm).capacity(limit)
    floor, ceiling = floor_parts(share.floor, most), ceiling_parts(share.ceiling, most)
    return Portion(share.weight, floor, ceiling, share.service_class)


def floor_parts(units: int, most: int) -> int:
    """So many units of ``most`` in :data:`~limiter.core.types.PARTS`: floors that fit a limit fit the whole."""
    return units * PARTS // most


def ceiling_parts(units: int, most: int) -> int:
    """The same of a ceiling, which is never below its floor; 0: there is none."""
    return -(-units * PARTS // most)
