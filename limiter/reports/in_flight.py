"""How many calls were in flight at once: the most slots of each concurrency limit in use, from the record of demand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from limiter.core.algorithms import rules_of
from limiter.core.types import CountedPer, Limit
from limiter.demand import blocks
from limiter.demand.models import DemandBlock
from limiter.demand.models.block import HOUR_S
from limiter.demand.points import Level, Name
from limiter.reports import consumption, figures
from limiter.reports.consumption import Consumption, LimitUse
from limiter.reports.selection import Selection

_BLOCKS = 50
"""Rows of demand in memory at once: an hour by the second is some megabytes."""


@dataclass(slots=True)
class _Spans:
    """The largest use, and the smallest limit in force, in each span of the time."""

    chosen: Selection
    used: list[int] = field(default_factory=lambda: [0] * figures.POINTS)
    effective: list[int | None] = field(default_factory=lambda: [None] * figures.POINTS)

    def add(self, second: int, level: Level) -> None:
        start, end = self.chosen.since.timestamp(), self.chosen.until.timestamp()
        if not start <= second < end:
            return
        place = int((second - start) / (end - start) * figures.POINTS)
        held = self.effective[place]
        self.used[place] = max(self.used[place], level.used)
        self.effective[place] = level.effective if held is None else min(held, level.effective)


def fullest(chosen: Selection, *, most: int = consumption.MAX_TENANTS_SHOWN) -> tuple[list[Consumption], int]:
    """The concurrency limits that came nearest to being full, and how many more there were.

    Limits are those in force now, of the busiest tenants and actions, counted per action or tenant. The slots are those
    that a call found when it was decided, so a limit that no call met says nothing.
    """
    wanted: dict[str, dict[Name, LimitUse]] = {}
    for each in consumption.counted(chosen, _holds_slots):
        wanted.setdefault(each.tenant_id, {})[each.action_id, each.limit.name] = each
    found = [read for tenant_id, names in wanted.items() for read in _read(tenant_id, names, chosen)]
    found.sort(key=lambda each: (-each.share, each.of[:2], each.of.limit.name))
    return found[:most], max(0, len(found) - most)


def _holds_slots(limit: Limit) -> bool:
    return rules_of(limit.algorithm).holds_slots and limit.counted_per in (CountedPer.ACTION, CountedPer.TENANT)


def _read(tenant_id: str, names: dict[Name, LimitUse], chosen: Selection) -> list[Consumption]:
    spans: dict[Name, _Spans] = {}
    for _, demand in blocks.readable(_rows(tenant_id, chosen)):
        for name, second, level in demand.each_level():
            if name in names:
                spans.setdefault(name, _Spans(chosen)).add(second, level)
    return [
        Consumption(names[name], of.used, [names[name].limit.quota if e is None else e for e in of.effective])
        for name, of in spans.items()
        if any(of.used)
    ]


def _rows(tenant_id: str, chosen: Selection) -> Any:
    reaching = DemandBlock.objects.filter(
        tenant_id=tenant_id, start__gt=chosen.since - timedelta(seconds=HOUR_S), start__lt=chosen.until
    )
    return reaching.order_by().iterator(chunk_size=_BLOCKS)
