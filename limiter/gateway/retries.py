"""Retries on their way to the store, where all workers draw on one budget for each connection: see ``retry.lua``."""

from __future__ import annotations

import logging

from limiter.core import retrying
from limiter.core.peers import Peers
from limiter.core.retrying import SAVED, Turn
from limiter.core.store import Store
from limiter.core.types import MICROS
from limiter.stores.errors import StoreError, StoreOutcomeUnknown
from limiter.upstream.retry import Budget
from tenants.directory import ConnectionSpec

log = logging.getLogger(__name__)


class Retries:
    """One per worker. Without the store, it has its share of the retries saved up, and those of its own calls."""

    def __init__(self, store: Store, peers: Peers) -> None:
        self._store = store
        self._peers = peers

    async def draw(self, connection: ConnectionSpec, budget: Budget, *, within_s: float) -> Turn:
        """A retry of the connection's budget. ``budget``: this worker's part. Raises nothing."""
        calls, budget.calls = budget.calls, 0
        try:
            drawn = await retrying.draw(self._store, connection.id, calls=calls, within_us=int(within_s * MICROS))
        except StoreError as error:
            if not isinstance(error, StoreOutcomeUnknown):  # else they may have been added
                budget.calls += calls
            log.debug("a retry of connection %d draws on the share of this worker alone", connection.id)
            return Turn(budget.spend(saved=self._peers.share(SAVED)), 0)
        if drawn.granted:
            budget.spend()
        return drawn

    async def turn(self, connection: ConnectionSpec, *, within_s: float) -> Turn:
        """The place of a retry that was granted. Raises nothing."""
        try:
            return await retrying.turn(self._store, connection.id, within_us=int(within_s * MICROS))
        except StoreError:
            return Turn(True, 0)
