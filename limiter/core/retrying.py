"""Retries: one budget for each connection, which all workers share, and a place behind its pause, in its pace."""

from __future__ import annotations

from typing import NamedTuple

from limiter.core import keys
from limiter.core.store import Store
from limiter.stores.scripts import Script

SAVED = 10
"""Retries that are saved up at most."""
CALLS_EACH = 10
"""Calls of the connection that earn one retry."""
_SCRIPT = Script(__file__, "retry")


class Turn(NamedTuple):
    """Whether a retry may go on, and how long it waits at least (us)."""

    granted: bool
    wait_us: int


async def draw(store: Store, connection: int, *, calls: int, within_us: int, now_us: int | None = None) -> Turn:
    """Draw one retry, which has to be sent within so long, on the budget of a connection.

    ``calls``: those that this worker has sent since it last drew on it. A retry that is not granted draws nothing.
    Raises :class:`~limiter.stores.errors.StoreError`.
    """
    saved = SAVED * CALLS_EACH
    return await _turn(store, connection, now_us, within_us, min(calls, saved), saved, CALLS_EACH)


async def turn(store: Store, connection: int, *, within_us: int, now_us: int | None = None) -> Turn:
    """Take the place of a retry that has been granted: it is sent after the wait.

    None is granted while a pause lasts; it may be asked for again after the wait. Raises
    :class:`~limiter.stores.errors.StoreError`.
    """
    return await _turn(store, connection, now_us, within_us)


async def _turn(store: Store, connection: int, now_us: int | None, *arguments: int) -> Turn:
    names = [keys.retries(connection), keys.pause(connection), keys.pace(connection)]
    granted, wait_us = await store.run(_SCRIPT, names, "" if now_us is None else now_us, *arguments)
    return Turn(granted == 1, int(wait_us))
