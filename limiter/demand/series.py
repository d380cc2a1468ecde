"""The record of demand as readers ask for it: a tenant's calls and limits between two seconds, from the database.

The newest one or two minutes wait in the store (:mod:`limiter.demand.undrained`). Who may see a tenant is the caller's
to check.
"""

from __future__ import annotations

from datetime import timedelta

from limiter.demand import blocks
from limiter.demand.models import DemandBlock
from limiter.demand.models.block import HOUR_S
from limiter.demand.points import Demand


def between(tenant_id: str, start: int, end: int, *, action_id: str | None = None) -> Demand:
    """A tenant's demand from second ``start`` until before ``end``, of all actions or of one. For a thread.

    By the second; where it has been rolled up, by the minute, under the minute's first second.
    """
    return of_tenants([tenant_id], start, end).get(tenant_id, Demand()).between(start, end, action_id=action_id)


def of_tenants(tenant_ids: list[str], start: int, end: int) -> dict[str, Demand]:
    """The same for several tenants in one query; those without demand are absent."""
    rows = DemandBlock.objects.filter(
        tenant_id__in=tenant_ids,
        start__gt=blocks.moment(start) - timedelta(seconds=HOUR_S),
        start__lt=blocks.moment(end),
    ).order_by()
    found: dict[str, list[DemandBlock]] = {}
    for row in rows:
        found.setdefault(row.tenant_id, []).append(row)
    demands = {name: blocks.readable(of).between(start, end) for name, of in found.items()}
    return {name: demand for name, demand in demands.items() if demand}
