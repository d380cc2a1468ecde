"""Pauses: what an upstream said about load binds every call of its connection."""

from __future__ import annotations

from typing import NamedTuple

from limiter.core import keys
from limiter.core.store import Store
from limiter.core.versioned import Form
from limiter.stores.scripts import Script

MAX_PAUSE_S = 900
"""However long an upstream asks for: after it one call finds out whether it still does."""
_SCRIPT = Script(__file__, "pause")


class Pause(NamedTuple):
    """Until when an upstream takes no calls (us since the epoch), with which status it said so, and since when."""

    until_us: int
    status: int
    since_us: int


def _read(text: str) -> Pause:
    """Three numbers; what stands behind them is ignored."""
    return Pause(*map(int, text.split("|", 3)[:3]))


FORM = Form("pause", {1: _read})


async def pause(store: Store, connection: int, *, status: int, said_us: int | None, now_us: int | None = None) -> int:
    """Hold back every call of a connection; for how long from now on (us).

    ``said_us``: how long the upstream asked to wait; None when it did not say, which is a second at first and twice as
    long each time that it turns calls away again. Raises :class:`~limiter.stores.errors.StoreError`.
    """
    now, said = ("" if each is None else each for each in (now_us, said_us))
    return int(await store.run(_SCRIPT, [keys.pause(connection)], now, said, status, MAX_PAUSE_S * 1_000_000))
