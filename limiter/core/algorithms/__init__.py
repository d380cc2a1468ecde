"""The algorithms by which a limit counts: one object for each, in the module of its name.

See docs/policies.md for exactness, memory and use of each. How one decides is a branch in ``lua/decide.lua``; what
else the scripts do with its counts is Lua beside its module.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from limiter.core.rules import Line, Rules
from limiter.core.types import Limit

_FOUND = {module.name: import_module(f"{__name__}.{module.name}").RULES for module in iter_modules(__path__)}
RULES: dict[str, Rules] = dict(sorted(_FOUND.items(), key=lambda found: found[1].place))
"""By name, in the order in which they are offered."""


def rules_of(algorithm: str) -> Rules:
    """Raises KeyError for a name that is no algorithm's."""
    return RULES[algorithm]


def pool_in_count(limit: Limit) -> bool:
    """Whether the shares of a limit are in the hash of its count; the count of a value may be that of all others."""
    return rules_of(limit.algorithm).pool_in_count and not limit.counted_by


def known(algorithm: str) -> str:
    """The name as it is; raises ValueError for one that is no algorithm's."""
    if algorithm not in RULES:
        raise ValueError(f"{algorithm!r} is no algorithm")
    return algorithm


def _lua(table: str, shown: Iterable[str], *, made: bytes) -> bytes:
    """A table by letter: what the file beside each object returns, or a function that makes it."""
    sources = ((RULES[name].letter.encode(), Path(__file__).with_name(f"{name}.lua").read_bytes()) for name in shown)
    lines = (b"%s.%s = (function()\n%send)%s\n" % (table.encode(), *source, made) for source in sources)
    return b"local %s = {}\n%s" % (table.encode(), b"".join(lines))


LUA = _lua("algorithms", (name for name, rules in RULES.items() if not rules.holds_slots), made=b"()")
"""The table ``algorithms`` of scripts, by letter: how to ``give_back`` units, and what a count has ``held``."""

HOLDING = _lua("holding", (name for name, rules in RULES.items() if rules.reserves and not rules.is_window), made=b"")
"""The table ``holding`` of ``appointments.lua``: functions that make the same for what holds units unlike a window."""

__all__ = ["HOLDING", "LUA", "RULES", "Line", "Rules", "known", "pool_in_count", "rules_of"]
