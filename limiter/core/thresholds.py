"""When use has reached a threshold, and when it has left it again: later than it came, so that nothing flaps."""

from __future__ import annotations

from collections.abc import Iterable

MARGIN = 5
"""Percent of the limit by which use has to fall below a threshold before it has left it."""
NEAR = 80
"""Percent from which a limit without thresholds of its own is near."""


def reached(threshold: int, *, used: int, effective: int) -> bool:
    """Whether ``threshold`` percent of the ``effective`` limit are used (units)."""
    return used * 100 >= threshold * effective


def left(threshold: int, *, used: int, effective: int) -> bool:
    """Whether use has fallen below it by the margin; of a threshold below twice the margin, below half of it."""
    return used * 100 < max(threshold - MARGIN, threshold / 2) * effective


def near_at(alert_at: Iterable[int]) -> int:
    """From how many percent a limit is near: the lowest threshold at which its policy alerts before it is full."""
    return min((threshold for threshold in alert_at if threshold < 100), default=NEAR)
