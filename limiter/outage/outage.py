"""Deciding while the store is unavailable: by the policy's failure mode, until the store has taken the decisions."""

from __future__ import annotations

import logging
from collections.abc import Callable

from limiter.core.store import Store
from limiter.core.types import Decision
from limiter.core.window import Call, Stack
from limiter.outage.alone import Alone
from limiter.outage.local import LocalShare
from limiter.outage.modes import LOCAL, MODES
from limiter.stores.errors import StoreError

log = logging.getLogger(__name__)


class Outage:
    """One worker's. In a cluster each connection has a node of its own, so each has an outage of its own."""

    def __init__(self, store: Store, local: LocalShare, *, clock: Callable[[], float]) -> None:
        self.unavailable_since: dict[int, float] = {}
        """Connections that the store does not answer for; empty, which is read at every call, when it answers."""
        self._alone = Alone(store)
        self._local = local
        self._clock = clock

    @property
    def waiting(self) -> int:
        """Refusals with a text of their own that the store does not have yet."""
        return self._alone.waiting

    def decide(self, mode: str, stack: Stack, call: Call, error: StoreError) -> Decision | None:
        """Decide a call that the store has not decided, by a failure mode's name; None refuses it uncounted."""
        connection, now = stack.subject.connection, self._clock()
        if connection not in self.unavailable_since:
            self.unavailable_since[connection] = now
            log.warning("the limiter's store is unavailable for connection %d: %s", connection, error)
        self._alone.away(connection)
        at_us = int(now * 1_000_000)
        # A newer release's mode can come by way of the shared cache, not from rows: those would not compile here.
        decision = MODES.get(mode, LOCAL).decide(self._local, stack, call, at_us)
        if call.charge:
            self._alone.note(stack, call, decision, at_us=decision.at_us if decision else at_us)
        return decision

    def answered(self, connection: int) -> None:
        """The store has answered for this connection."""
        if self.unavailable_since.pop(connection, None) is not None:
            log.warning("the limiter's store answers again for connection %d", connection)
            self._local.forget()

    def ended(self, stack: Stack, decision: Decision) -> None:
        """Free the slots of a call that was decided here."""
        self._local.release(stack, decision.decision_id)

    async def hand_in(self) -> None:
        """Hand the store the decisions made without it. If it takes them, it is back, whether or not anybody calls."""
        for connection in await self._alone.hand_in():
            self.answered(connection)

    async def close(self) -> None:
        """Hand in once more."""
        await self._alone.close()
