"""Older demand in less space: minutes become hours, seconds become minutes, and the oldest is deleted."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from limiter.core.versioned import Unreadable
from limiter.demand import blocks, packed
from limiter.demand.models import DemandBlock, RecordedSpan
from limiter.demand.models.block import HOUR_S, MINUTE_S
from limiter.demand.points import Demand
from limiter.record import pruning, runs, turn

_STEP_S = 60
_AT_ONCE = 2_000
_OVER_S = 300
"""An hour is packed so long after its end: what comes later is added then."""


def roll_up() -> int | None:
    """Pack and delete by age; how many rows, or None when somebody else is at it."""
    return runs.alone("roll_up_demand", lambda client: pack_hours() + thin_out() + prune(), at_most_s=600)


def pack_hours(*, now: datetime | None = None) -> int:
    """Make one row of the minutes of each hour that is over; how many minutes."""
    over = (now or timezone.now()) - timedelta(seconds=_OVER_S)
    over -= timedelta(seconds=int(over.timestamp()) % HOUR_S)
    minutes = DemandBlock.objects.filter(step=1, seconds=MINUTE_S, start__lt=over)
    packed_rows, unreadable = 0, set[int]()
    while rows := list(minutes.exclude(pk__in=unreadable).order_by("tenant_id", "start").values_list("pk")[:_AT_ONCE]):
        packed_rows += _pack([pk for (pk,) in rows], unreadable)
    return packed_rows


def _pack(names: list[int], unreadable: set[int]) -> int:
    """Pack these rows; those that a newer release wrote, or that belong to an hour of its, are left to it."""
    hours: dict[int, list[DemandBlock]] = defaultdict(list)
    done = 0
    with turn.taken(blocks.TURN):
        # Read in the turn: what came late may have been added just before.
        for row in DemandBlock.objects.filter(pk__in=names):
            second = int(row.start.timestamp())
            hours[second - second % HOUR_S].append(row)
        for start, rows in hours.items():
            ids = [row.pk for row in rows]
            try:
                with transaction.atomic():
                    blocks.add(start, HOUR_S, _by_tenant(rows))
                    DemandBlock.objects.filter(pk__in=ids).delete()
            except Unreadable:
                unreadable.update(ids)
            else:
                done += len(ids)
    return done


def _by_tenant(rows: list[DemandBlock]) -> dict[str, Demand]:
    found: dict[str, Demand] = defaultdict(Demand)
    for row in rows:
        found[row.tenant_id].add(blocks.demand_of(row))
    return found


def thin_out(*, now: datetime | None = None) -> int:
    """Keep demand that is old enough by the minute; how many rows."""
    days = settings.ENV.DEMAND_SECONDS_KEPT_DAYS
    if not days:
        return 0
    oldest = (now or timezone.now()) - timedelta(days=days)
    thinned, last = 0, 0
    hours = DemandBlock.objects.filter(step=1, seconds=HOUR_S, start__lt=oldest).order_by("pk")
    while names := list(hours.filter(pk__gt=last).values_list("pk", flat=True)[: blocks.WRITTEN_AT_ONCE]):
        last = names[-1]
        with turn.taken(blocks.TURN):
            rows = [row for row in DemandBlock.objects.filter(pk__in=names, step=1) if _thin(row)]
            DemandBlock.objects.bulk_update(rows, ["data", "step"])
        thinned += len(rows)
    return thinned


def _thin(row: DemandBlock) -> bool:
    try:
        demand = blocks.demand_of(row)
    except Unreadable:
        return False
    row.step = _STEP_S
    row.data = packed.pack(demand.every(_STEP_S), start=int(row.start.timestamp()), step_s=_STEP_S)
    return True


def prune(*, now: datetime | None = None) -> int:
    """Delete demand that is older than it is kept; how many rows."""
    days = settings.ENV.DEMAND_MINUTES_KEPT_DAYS
    if not days:
        return 0
    oldest = (now or timezone.now()) - timedelta(days=days)
    return pruning.delete(DemandBlock, start__lt=oldest) + pruning.delete(RecordedSpan, end__lt=oldest)
