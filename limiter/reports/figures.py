"""The figures of a summary: calls, refusals, the busiest tenants and actions, limits that bound, multipliers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Max, Min, Sum

from limiter.reports import sources
from limiter.reports.selection import Selection

TOP = 8
POINTS = 48
"""Spans that a time is drawn in."""
_CHANGES = 500
_PAIR = ("tenant_id", "action_id")


class Busy(NamedTuple):
    """A tenant, or with ``action_id`` one of its actions, and its calls."""

    tenant_id: str
    action_id: str
    allowed: int
    refused: int


@dataclass(frozen=True)
class Figures:
    """``moments`` are the starts of equal spans; ``allowed`` and ``refused`` are the sums in each."""

    allowed_in_all: int
    refused_in_all: int
    shadow_in_all: int
    moments: list[datetime]
    allowed: list[int]
    refused: list[int]
    tenants: list[Busy]
    actions: list[Busy]
    limits: list[dict[str, Any]]
    multipliers: list[tuple[datetime, str, float]]
    more_multipliers: bool


def of(chosen: Selection) -> Figures:
    """Count them, in the database."""
    usage = sources.usage(chosen)
    totals = usage.aggregate(allowed=Sum("allowed"), refused=Sum("refused"), shadow=Sum("shadow_refused"))
    moments, allowed, refused = _over_time(chosen)
    changes = list(
        sources.multipliers(chosen).order_by("at", "id").values_list("at", "tenant_id", "after")[: _CHANGES + 1]
    )
    return Figures(
        allowed_in_all=totals["allowed"] or 0,
        refused_in_all=totals["refused"] or 0,
        shadow_in_all=totals["shadow"] or 0,
        moments=moments,
        allowed=allowed,
        refused=refused,
        tenants=_busiest(chosen, "tenant_id"),
        actions=_busiest(chosen, *_PAIR),
        limits=_limits(chosen),
        multipliers=changes[:_CHANGES],
        more_multipliers=len(changes) > _CHANGES,
    )


def _over_time(chosen: Selection) -> tuple[list[datetime], list[int], list[int]]:
    span = (chosen.until - chosen.since) / POINTS
    allowed, refused = [0] * POINTS, [0] * POINTS
    sums = sources.usage(chosen, model=sources.fine(chosen)).order_by("start").values("start")
    for start, passed, stopped in sums.annotate(a=Sum("allowed"), r=Sum("refused")).values_list("start", "a", "r"):
        place = min(POINTS - 1, int((start - chosen.since) / span))
        allowed[place] += passed
        refused[place] += stopped
    return [chosen.since + span * n for n in range(POINTS)], allowed, refused


def _busiest(chosen: Selection, *names: str) -> list[Busy]:
    found = sources.usage(chosen).order_by().values(*names).annotate(a=Sum("allowed"), r=Sum("refused"))
    busiest = found.order_by("-a", "-r", *names)[:TOP]
    return [Busy(row["tenant_id"], row.get("action_id", ""), row["a"], row["r"]) for row in busiest]


def _limits(chosen: Selection) -> list[dict[str, Any]]:
    """The limits that refused most, with how far they were used and the lowest that they were cut to."""
    names = (*_PAIR, "limit_name")
    found = sources.events(chosen).filter(shadow=False).order_by().values(*names)
    counted = found.annotate(
        refusals=Sum("count"), most_used=Max("used"), limit=Max("quota"), lowest=Min("effective_limit")
    )
    return list(counted.order_by("-refusals", *names)[:TOP])
