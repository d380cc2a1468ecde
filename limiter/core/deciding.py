"""The deciding script, made of the parts that a stack asks for: no other call pays for them."""

from __future__ import annotations

from limiter.core.window import Stack
from limiter.stores.scripts import Script

_PARTS = {"appointments": "appointments", "sharing": "look_at_share, charge_share"}
"""The files in front of ``decide.lua``, and the names there of the values that each returns: nil without the part."""


def _deciding(*parts: str) -> Script:
    front = b""
    for part, names in _PARTS.items():
        front += b"local %s" % names.encode()
        front += b" = (function()\n%send)()\n" % Script(__file__, part).source if part in parts else b"\n"
    return Script(__file__, "decide", before=front)


DECIDE = _deciding()
DECIDE_AND_HOLD = _deciding("appointments")
DECIDE_SHARED = _deciding("sharing")
DECIDE_SHARED_AND_HOLD = _deciding("appointments", "sharing")


def script_of(stack: Stack) -> Script:
    """The script that decides calls of this stack."""
    if stack.shares:
        return DECIDE_SHARED_AND_HOLD if stack.reserves else DECIDE_SHARED
    return DECIDE_AND_HOLD if stack.reserves else DECIDE
