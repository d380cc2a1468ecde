"""One object per algorithm, in the module of its name; its Lua is a branch in ``lua/decide.lua``."""

from __future__ import annotations

from importlib import import_module

from limiter.core.algorithms.rules import Line, Rules
from limiter.core.types import Algorithm

RULES: dict[str, Rules] = {each.value: import_module(f"{__name__}.{each.value}").RULES for each in Algorithm}
"""By name; an :class:`Algorithm` is its own name."""


def rules_of(algorithm: str) -> Rules:
    """Raises KeyError for a name that is no algorithm's."""
    return RULES[algorithm]


__all__ = ["RULES", "Line", "Rules", "rules_of"]
