"""The deciding script, made of the parts that a stack asks for: no other call pays for them."""

from __future__ import annotations

from typing import NamedTuple

from limiter.core.sharing import SLOTS, WINDOWS
from limiter.core.window import Stack
from limiter.stores.scripts import Script


class _Part(NamedTuple):
    """A file in front of ``decide.lua``, and the names there of the values that it returns: nil without the part.

    ``lazy``: the name is a function that returns them, for a part that few of its stack's calls need.
    """

    file: str
    names: str
    lazy: bool = False

    def lua(self, *, asked: bool) -> bytes:
        if not asked:
            return b"local %s\n" % self.names.encode()
        made = b"(function()\n%send)" % Script(__file__, self.file).source
        return b"local %s = %s%s\n" % (self.names.encode(), made, b"" if self.lazy else b"()")


_PARTS = (
    _Part("shared_appointments", "joint", lazy=True),
    _Part("appointments", "appointments", lazy=True),
    _Part("dividing", "dividing", lazy=True),
    _Part("sharing", "look_at_share, charge_share"),
    _Part("slot_sharing", "look_at_slots, charge_slot"),
    _Part("values", "values"),
)


def _deciding(*files: str) -> Script:
    """``values.lua`` works around ``decide.lua`` too."""
    before, after = b"".join(part.lua(asked=part.file in files) for part in _PARTS), b""
    if "values" in files:
        before, after = before + b"local function decide()\n", b"end\nreturn values.finish(decide())\n"
    return Script(__file__, "decide", before=before, after=after)


def _parts(shares: int, *, holds: bool, counts: bool) -> tuple[str, ...]:
    asked = {
        "shared_appointments": holds and bool(shares & WINDOWS),
        "appointments": holds,
        "dividing": shares > 0,
        "sharing": bool(shares & WINDOWS),
        "slot_sharing": bool(shares & SLOTS),
        "values": counts,
    }
    return tuple(part for part, needed in asked.items() if needed)


_SCRIPTS = {
    (shares, holds, counts): _deciding(*_parts(shares, holds=holds, counts=counts))
    for shares in range((WINDOWS | SLOTS) + 1)
    for holds in (False, True)
    for counts in (False, True)
}
DECIDE, DECIDE_AND_HOLD = _SCRIPTS[0, False, False], _SCRIPTS[0, True, False]


def script_of(stack: Stack) -> Script:
    """The script that decides calls of this stack."""
    return _SCRIPTS[stack.shares, stack.reserves, stack.valued > 0]
