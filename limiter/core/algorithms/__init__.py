"""The algorithms by which a limit counts: one object for each, in the module of its name.

See docs/policies.md for exactness, memory and use of each. How one decides is a branch in ``lua/decide.lua``; what
else the scripts do with its counts is Lua beside its module.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
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


def _lua() -> Iterator[bytes]:
    yield b"local algorithms = {}\n"
    for name, rules in RULES.items():
        if not rules.holds_slots:
            source = Path(__file__).with_name(f"{name}.lua").read_bytes()
            yield b"algorithms.%s = (function()\n%send)()\n" % (rules.letter.encode(), source)


LUA = b"".join(_lua())
"""The table ``algorithms`` of scripts, by letter: how to ``give_back`` units, and what a count has ``held``."""

__all__ = ["LUA", "RULES", "Line", "Rules", "known", "rules_of"]
