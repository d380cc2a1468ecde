"""The deciding script, made of the parts that a stack asks for: no other call pays for them."""

from __future__ import annotations

from typing import NamedTuple

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


_PARTS = (_Part("appointments", "appointments", lazy=True), _Part("sharing", "look_at_share, charge_share"))


def _deciding(*files: str) -> Script:
    return Script(__file__, "decide", before=b"".join(part.lua(asked=part.file in files) for part in _PARTS))


DECIDE = _deciding()
DECIDE_AND_HOLD = _deciding("appointments")
DECIDE_SHARED = _deciding("sharing")
DECIDE_SHARED_AND_HOLD = _deciding("appointments", "sharing")


def script_of(stack: Stack) -> Script:
    """The script that decides calls of this stack."""
    if stack.shares:
        return DECIDE_SHARED_AND_HOLD if stack.reserves else DECIDE_SHARED
    return DECIDE_AND_HOLD if stack.reserves else DECIDE
