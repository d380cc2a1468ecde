"""The deciding script, made of the parts that a stack asks for: no other call pays for them."""

from __future__ import annotations

from typing import NamedTuple

from limiter.core.algorithms import HOLDING
from limiter.core.sharing import SLOTS, WINDOWS
from limiter.core.window import Stack
from limiter.stores.scripts import Script


class _Part(NamedTuple):
    """A file in front of ``decide.lua``, and the name there of its value: nil without the part.

    ``lazy``: the name is a function that returns it, for a part that few of its stack's calls need. ``above``: Lua that
    only this part uses.
    """

    file: str
    name: str
    lazy: bool = False
    above: bytes = b""

    def lua(self, *, asked: bool) -> bytes:
        if not asked:
            return b"local %s\n" % self.name.encode()
        made = b"(function()\n%send)" % Script(__file__, self.file, before=self.above).source
        return b"local %s = %s%s\n" % (self.name.encode(), made, b"" if self.lazy else b"()")


_PARTS = (
    _Part("shared_appointments", "joint", lazy=True),
    _Part("appointments", "appointments", lazy=True, above=HOLDING),
    _Part("values", "values"),
)

_FIELDS = Script(__file__, "limit").source

_INLINE = {
    WINDOWS: (
        "find_earlier_pool",
        "find_sums",
        "look_at_share",
        "charge_share",
        "leave_places",
        "window_dividing",
        "unused_units",
    ),
    SLOTS: ("look_at_slots", "charge_slot", "slot_dividing"),
}
"""Files that stand where they are called, by the kind of shared limits: a function would be made anew by every call."""


def _deciding(shares: int, *, holds: bool, counts: bool) -> Script:
    asked = {"shared_appointments": holds and bool(shares & WINDOWS), "appointments": holds, "values": counts}
    before, after = _FIELDS + b"".join(part.lua(asked=asked[part.file]) for part in _PARTS), b""
    if counts:  # It works around ``decide.lua`` too.
        before, after = before + b"local function decide()\n", b"end\nreturn values.finish(decide())\n"
    inline = [file for kind, files in _INLINE.items() if shares & kind for file in files]
    inline += ["newcomers", "dividing"] if shares else []
    return Script(__file__, "decide", before=before, after=after, inline=inline)


_SCRIPTS = {
    (shares, holds, counts): _deciding(shares, holds=holds, counts=counts)
    for shares in range((WINDOWS | SLOTS) + 1)
    for holds in (False, True)
    for counts in (False, True)
}
DECIDE, DECIDE_AND_HOLD = _SCRIPTS[0, False, False], _SCRIPTS[0, True, False]


def script_of(stack: Stack) -> Script:
    """The script that decides calls of this stack."""
    return _SCRIPTS[stack.shares, stack.reserves, stack.valued > 0]
