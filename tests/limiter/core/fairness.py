"""Fairness, written the obvious way: how a limit is divided among tenants that ask for so much of it."""

from __future__ import annotations

from collections.abc import Mapping

from limiter.core.types import ServiceClass, Share


def fair(capacity: float, asked: Mapping[str, float], shares: Mapping[str, Share]) -> dict[str, float]:
    """Max-min fair by weight: floors first, then class by class, each up to its demand or its ceiling."""
    wants = {name: min(units, shares[name].ceiling or units) for name, units in asked.items()}
    given = {name: min(want, shares[name].floor) for name, want in wants.items()}
    for each in ServiceClass:
        mine = [name for name in wants if shares[name].service_class is each]
        rest = capacity - sum(units for name, units in given.items() if name not in mine)
        given |= _filled(rest, {name: (given[name], wants[name], shares[name].weight) for name in mine})
    return given


def _filled(capacity: float, members: Mapping[str, tuple[float, float, int]]) -> dict[str, float]:
    """The level that fills the capacity, found by halving."""

    def at(level: float) -> dict[str, float]:
        return {name: max(low, min(want, level * weight)) for name, (low, want, weight) in members.items()}

    low, high = 0.0, max((want / weight for _, want, weight in members.values()), default=0.0)
    if sum(at(high).values()) <= capacity:
        return at(high)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(at(middle).values()) <= capacity else (low, middle)
    return at(low)
