"""Calls in flight for longer than the threshold of a multiplier: they count as samples of their age.

So a unit that is dead from one moment to the next cuts the multiplier before its first timeout. Each worker reports the
ages of its own calls; a report replaces the one before and holds for some seconds, so those of a killed worker end.
"""

from __future__ import annotations

from collections.abc import Sequence

from limiter.core import adaptive, keys
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.store import ASSESSING, EVERY_MS, Recorded, Store
from limiter.core.window import MultiplierScope
from limiter.stores.scripts import Script

OVERDUE = Script(__file__, "overdue", before=ASSESSING)
MAX_AGES = 100
"""Of one worker and multiplier; the oldest count."""


async def report(
    store: Store,
    scope: MultiplierScope,
    ages_us: Sequence[int],
    *,
    worker: str,
    settings: AdaptiveSettings,
    every_ms: int = EVERY_MS,
    now_us: int | None = None,
) -> Recorded:
    """Replace the worker's report; without ages its last. Raises :class:`~limiter.stores.errors.StoreError`."""
    c, tenant, per = scope
    names = (keys.samples(c, tenant, per), keys.overdue(c, tenant, per), keys.due(c, tenant, per))
    reply = await store.run(
        OVERDUE,
        (*names, keys.unassessed(c), keys.assessed_by(c)),
        *("" if now_us is None else now_us, worker, ",".join(map(str, sorted(ages_us)[-MAX_AGES:]))),
        *(scope.name, adaptive.written(settings), every_ms),
    )
    return await store.adapt_if_due(reply, scope, settings, now_us=now_us)
