"""Giving back what a call was charged that certainly did not run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from limiter.core import keys
from limiter.core.algorithms import LUA
from limiter.core.store import Store
from limiter.core.types import Decision
from limiter.core.window import Stack
from limiter.stores.scripts import Script

MAX_CHARGES = 500
"""In one :func:`give_back`."""
_SCRIPT = Script(__file__, "give_back", before=LUA)


class Charge(NamedTuple):
    """What one call was charged: ``cost`` units at ``at_us`` of the store's clock.

    ``shadows``: shadow limits charged it too.
    """

    decision_id: str
    at_us: int
    cost: int
    shadows: bool

    @classmethod
    def of(cls, decision: Decision) -> Charge:
        return cls(decision.decision_id, decision.at_us, decision.cost, not decision.shadow_violated)


async def give_back(store: Store, stack: Stack, charges: Sequence[Charge], *, now_us: int | None = None) -> int:
    """Give the units of these calls back, each once however often this is called; how many were given back now.

    Raises :class:`~limiter.stores.errors.StoreError`, after which it may be called again, whatever the store did.
    """
    c = stack.subject.connection
    names = (keys.given_back(c), keys.usage(c), keys.totals(c), *stack.windows, *stack.pools)
    return int(
        await store.run(
            _SCRIPT,
            names,
            *("" if now_us is None else now_us, stack.subject.tenant, stack.subject.action, stack.packed_limits),
            *(part for each in charges for part in (each.decision_id, each.at_us, each.cost, int(each.shadows))),
        )
    )
