"""Our gateway with a deciding script that keeps no audit record of a refusal: what the record costs is the difference.

Only the part of ``decide.lua`` that makes the event is cut out; everything else, usage counts included, is as it ships.
"""

from __future__ import annotations

import hashlib

from limiter.core.deciding import DECIDE

_BEGIN, _END = b"  if paused > 0 or not (admitted and shadow_admitted) then", b"return answer"


def cut(source: bytes) -> bytes:
    """The script without the making of events; raises ValueError when it is not to be found."""
    return source[: source.index(_BEGIN)] + b"end\n" + source[source.rindex(_END) :]


DECIDE.source = cut(DECIDE.source)
DECIDE.digest = hashlib.sha1(DECIDE.source, usedforsecurity=False).hexdigest().encode()

from quota_platform.asgi import application  # noqa: E402  after the script was changed

__all__ = ["application"]
