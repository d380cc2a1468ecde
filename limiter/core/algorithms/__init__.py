"""The algorithms by which a limit counts: one object for each, in the module of its name.

See docs/policies.md for exactness, memory and use of each. Its Lua is a branch in ``lua/decide.lua``.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from limiter.core.rules import Line, Rules

_FOUND = {module.name: import_module(f"{__name__}.{module.name}").RULES for module in iter_modules(__path__)}
RULES: dict[str, Rules] = dict(sorted(_FOUND.items(), key=lambda found: found[1].place))
"""By name, in the order in which they are offered."""


def rules_of(algorithm: str) -> Rules:
    """Raises KeyError for a name that is no algorithm's."""
    return RULES[algorithm]


def known(algorithm: str) -> str:
    """The name as it is; raises ValueError for one that is no algorithm's."""
    if algorithm not in RULES:
        raise ValueError(f"{algorithm!r} is no algorithm")
    return algorithm


__all__ = ["RULES", "Line", "Rules", "known", "rules_of"]
