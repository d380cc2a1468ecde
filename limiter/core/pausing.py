"""Pauses: an upstream's response about load binds every call of its connection."""

from __future__ import annotations

from typing import NamedTuple

from limiter.core import keys
from limiter.core.store import Store
from limiter.core.versioned import Form
from limiter.stores.scripts import Script

_SCRIPT = Script(__file__, "pause")


class Pause(NamedTuple):
    """Until when an upstream takes no calls (us since the epoch), the status of that response, and since when.

    ``asked_us``: the wait in its last response; None without one.
    """

    until_us: int
    status: int
    since_us: int
    asked_us: int | None = None


def _read(text: str) -> Pause:
    """Three numbers, the doublings, and the wait in the response; more is ignored.

    The first release that wrote pauses wrote the first four.
    """
    until, status, since, *more = text.split("|", 5)
    asked = more[1] if len(more) > 1 else ""
    return Pause(int(until), int(status), int(since), int(asked) if asked else None)


FORM = Form("pause", {1: _read})


def pause_or_none(raw: bytes | str | None, *, now_us: int) -> Pause | None:
    """The pause that is stored, while it lasts."""
    found = FORM.text_or_none(raw)
    return found if found is not None and found.until_us > now_us else None


async def pause(
    store: Store, connection: int, *, status: int, said_us: int | None, max_us: int, now_us: int | None = None
) -> int:
    """Hold back every call of a connection; for how long from now on (us).

    ``said_us``: the wait in its response; None, and 0, without one, which is two seconds at first and three times as
    long each time that it turns calls away again. ``max_us``: an upper bound; after it one call finds out whether the
    pause still has to last. Raises :class:`~limiter.stores.errors.StoreError`.
    """
    now, said = (each if each else "" for each in (now_us, said_us))
    return int(await store.run(_SCRIPT, [keys.pause(connection), keys.pace(connection)], now, said, status, max_us))
