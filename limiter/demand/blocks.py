"""Rows of demand as a writer meets them: read, added to, written in one statement for many tenants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from limiter.core.versioned import Unreadable
from limiter.demand import packed
from limiter.demand.models import DemandBlock
from limiter.demand.points import Demand

WRITTEN_AT_ONCE = 200
TURN = 7_261_102_834_004
"""The turn of those that write demand (:mod:`limiter.record.turn`)."""


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def demand_of(block: DemandBlock, *, every_s: int = 1) -> Demand:
    """What a row holds, by spans of ``every_s`` seconds; raises Unreadable for one of a newer release."""
    return packed.unpack(bytes(block.data), start=int(block.start.timestamp()), step_s=block.step, every_s=every_s)


def readable(blocks: Iterable[DemandBlock], *, every_s: int = 1) -> Iterator[tuple[str, Demand]]:
    """The tenant ID and the demand of each row, without rows that this release cannot read. One is held at a time."""
    for block in blocks:
        try:
            demand = demand_of(block, every_s=every_s)
        except Unreadable:
            continue
        yield block.tenant_id, demand


def units_of(block: DemandBlock) -> list[packed.Units]:
    """The units of a row's allowed calls; none of a row that this release cannot read."""
    try:
        return packed.units(bytes(block.data), start=int(block.start.timestamp()), step_s=block.step)
    except Unreadable:
        return []


def by_tenant(blocks: Iterable[DemandBlock], *, every_s: int = 1) -> dict[str, Demand]:
    """All of these rows together, by tenant ID."""
    found: defaultdict[str, Demand] = defaultdict(Demand)
    for tenant_id, demand in readable(blocks, every_s=every_s):
        found[tenant_id].add(demand)
    return dict(found)


def add(start: int, seconds: int, of: Mapping[str, Demand]) -> None:
    """Add the demand of these tenants to the blocks that begin at ``start``. For a turn of the writers."""
    tenant_ids = sorted(of)
    for at in range(0, len(tenant_ids), WRITTEN_AT_ONCE):
        some = tenant_ids[at : at + WRITTEN_AT_ONCE]
        found = DemandBlock.objects.filter(tenant_id__in=some, start=moment(start), seconds=seconds)
        held = {block.tenant_id: block for block in found}
        DemandBlock.objects.bulk_create(
            [_with(held.get(name), name, start, seconds, of[name]) for name in some],
            update_conflicts=True,
            unique_fields=["tenant_id", "start", "seconds"],
            update_fields=["data"],
        )


def _with(block: DemandBlock | None, tenant_id: str, start: int, seconds: int, more: Demand) -> DemandBlock:
    """A row with its demand and more. One that a newer release wrote stays as it is: its writer adds the rest."""
    step_s = block.step if block else 1
    demand = more.every(step_s) if step_s > 1 else more
    if block is not None:
        held = demand_of(block)
        held.add(demand)
        demand = held
    data = packed.pack(demand, start=start, step_s=step_s)
    return DemandBlock(tenant_id=tenant_id, start=moment(start), seconds=seconds, step=step_s, data=data)
