"""The pace of an upstream that publishes no limit: learned from the calls that it turned away, held, and probed."""

from __future__ import annotations

from limiter.core import keys
from limiter.core.store import Store
from limiter.stores.scripts import Script

LEARN = "learn"
_SCRIPT = Script(__file__, "pace")


async def learn(
    store: Store,
    connection: int,
    *,
    ran: int,
    held: int,
    pushed_back: int,
    extra: int = 0,
    mode: str = LEARN,
    now_us: int | None = None,
) -> float | None:
    """Hand in the calls of one worker since its last report; the pace in force (calls a minute), None without one.

    ``ran``: calls that the upstream took. ``held``: calls held back. ``pushed_back``: requests it turned away.
    ``extra``: requests beyond the first of a call. ``mode``: :data:`LEARN`; the calls a minute that a person has set;
    "" for no pace. Raises :class:`~limiter.stores.errors.StoreError`.
    """
    names = [keys.pace(connection), keys.pace_evidence(connection), keys.pause(connection)]
    now = "" if now_us is None else now_us
    reply = await store.run(_SCRIPT, names, now, ran, held, pushed_back, extra, mode)
    return float(reply) if reply else None
