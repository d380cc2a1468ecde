"""The deciding script, made of the parts that a stack asks for: no other call pays for them."""

from __future__ import annotations

from limiter.core.window import Stack
from limiter.stores.scripts import Script


def _deciding(*, appointments: bool = False) -> Script:
    """``decide.lua`` knows a part by its name, which is nil without it."""
    part = b"local appointments\n"
    if appointments:
        part = b"local appointments = (function()\n%send)()\n" % Script(__file__, "appointments").source
    return Script(__file__, "decide", before=part)


DECIDE = _deciding()
DECIDE_AND_HOLD = _deciding(appointments=True)


def script_of(stack: Stack) -> Script:
    """The script that decides calls of this stack."""
    return DECIDE_AND_HOLD if stack.reserves else DECIDE
