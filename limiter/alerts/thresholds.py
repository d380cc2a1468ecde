"""When an alert starts and when it is over: not at the same number, so that a limit on the edge does not flap."""

from __future__ import annotations

MARGIN = 5
"""Percent of the limit by which use has to fall below a threshold before its alert is over."""


def reached(threshold: int, *, used: int, effective: int) -> bool:
    """Whether ``threshold`` percent of the ``effective`` limit are used (units)."""
    return used * 100 >= threshold * effective


def left(threshold: int, *, used: int, effective: int) -> bool:
    """Whether use has fallen below it by the margin; of a threshold below twice the margin, below half of it."""
    return used * 100 < max(threshold - MARGIN, threshold / 2) * effective
