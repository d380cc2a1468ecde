"""How full the windows of a time were: the units in each limit's fullest window, beside the limit."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from django.db.models import Max, Q, Sum
from django.utils import timezone

from limiter.core.algorithms import rules_of
from limiter.core.types import CountedPer, Limit
from limiter.policies import stored
from limiter.policies.compiled import PolicyUnavailable
from limiter.policies.effective import TenantEntry
from limiter.policies.stored import Unusable
from limiter.record import rollup
from limiter.record.models import MultiplierChange
from limiter.record.models.usage import LEVELS, span_start
from limiter.reports import figures, sources
from limiter.reports.selection import Selection

MAX_TENANTS_SHOWN = 4
"""Limits that are drawn, the fullest first."""
_MAX_TENANTS = 8
_MAX_PAIRS = 40

Ints = npt.NDArray[np.int64]


class LimitUse(NamedTuple):
    """What one count holds: a limit of one tenant's action, or with ``action_id`` empty of all its actions together."""

    tenant_id: str
    action_id: str
    limit: Limit


@dataclass(frozen=True, slots=True)
class Consumption:
    """One count over time, in equal spans.

    ``peaks``: units in the fullest window that ended in each; ``effective``: the limit under its lowest multiplier.
    ``met``: the most units that a refused call found in use, which may be more than usage of whole minutes tells.
    """

    of: LimitUse
    peaks: list[int]
    effective: list[int]
    met: int = 0

    @property
    def most(self) -> int:
        """Units in the fullest window."""
        return max(self.met, *self.peaks)

    @property
    def share(self) -> float:
        """The fullest window, as a share of the limit."""
        return self.most / self.of.limit.quota


def fullest(chosen: Selection, *, most: int = MAX_TENANTS_SHOWN) -> tuple[list[Consumption], int]:
    """The counts that came nearest to their limits, and how many more there were.

    Limits are those in force now, of the busiest tenants and actions: counted per action or tenant, over a window that
    usage tells: not shorter than the minute, the hour or the day by which usage of that time is kept.
    """
    met = _met(chosen)
    found = [read for each in counted(chosen, _is_window) if (read := _read(each, chosen, met)) is not None]
    found.sort(key=lambda each: (-each.share, each.of[:2], each.of.limit.name))
    return found[:most], max(0, len(found) - most)


def counted(chosen: Selection, wanted: Callable[[Limit], bool]) -> Iterator[LimitUse]:
    """The counts of these limits, of the busiest tenants and actions, by the policies in force now."""
    pairs = sources.usage(chosen).order_by().values_list("tenant_id", "action_id").annotate(units=Sum("cost"))
    busiest = [
        (tenant, action) for tenant, action, _ in pairs.order_by("-units", "tenant_id", "action_id")[:_MAX_PAIRS]
    ]
    names = list(dict.fromkeys(tenant for tenant, _ in busiest))[:_MAX_TENANTS]
    for tenant_id, entry in stored.read_entries(names).items():
        counts: dict[tuple[str, str], LimitUse] = {}
        for _, action in (pair for pair in busiest if pair[0] == tenant_id):
            for limit in _limits(entry, action):
                if limit.counted_by:
                    continue  # usage knows no values
                of = action if limit.counted_per is CountedPer.ACTION else ""
                if wanted(limit):
                    counts.setdefault((of, limit.name), LimitUse(tenant_id, of, limit))
        yield from counts.values()


def _is_window(limit: Limit) -> bool:
    return rules_of(limit.algorithm).is_window and limit.counted_per in (CountedPer.ACTION, CountedPer.TENANT)


def _limits(entry: TenantEntry | Unusable, action_id: str) -> tuple[Limit, ...]:
    """What cannot be compiled has no limits to compare with; check_policies says why."""
    if isinstance(entry, Unusable):
        return ()
    try:
        return entry.plan(action_id, time.time()).limits
    except PolicyUnavailable:
        return ()


def _met(chosen: Selection) -> dict[tuple[str, str, str], int]:
    """By tenant, action and limit, the most units in use that a call was refused for; by action "" of them all."""
    names = ("tenant_id", "action_id", "limit_name")
    rows = sources.events(chosen).filter(shadow=False).order_by().values_list(*names).annotate(most=Max("used"))
    found: dict[tuple[str, str, str], int] = {}
    for tenant, action, limit, most in rows:
        for key in ((tenant, action, limit), (tenant, "", limit)):
            found[key] = max(found.get(key, 0), most)
    return found


def _read(of: LimitUse, chosen: Selection, met: dict[tuple[str, str, str], int]) -> Consumption | None:
    """None when usage is not fine enough, or not kept long enough, to tell this window."""
    window = timedelta(microseconds=of.limit.window_us)
    kept = rollup.kept()
    for model, grain in LEVELS:
        width = window // grain
        start = span_start(chosen.since, grain) - width * grain
        age = kept[model]
        if width and (age is None or start >= timezone.now() - age):
            peaks = _peaks(_units(of, model, start, chosen.until, grain), width=width)
            most = met.get((of.tenant_id, of.action_id, of.limit.name), 0)
            return Consumption(of, peaks, _effective(of, chosen), most)
    return None


def _units(of: LimitUse, model: Any, start: datetime, until: datetime, grain: timedelta) -> Ints:
    """Units charged in each grain."""
    found = model.objects.filter(tenant_id=of.tenant_id, start__gte=start, start__lt=until)
    if of.action_id:
        found = found.filter(action_id=of.action_id)
    units = np.zeros(math.ceil((until - start) / grain), dtype=np.int64)
    for at, charged in found.order_by().values_list("start").annotate(units=Sum("cost")):
        units[(at - start) // grain] += charged
    return units


def _peaks(units: Ints, *, width: int) -> list[int]:
    """The fullest ``width`` grains that ended in each span. Before the first span there are ``width`` grains more."""
    sums = np.concatenate([[0], np.cumsum(units)])
    full = sums[width + 1 :] - sums[1:-width]
    ends = np.linspace(0, full.size, figures.POINTS + 1).astype(int)
    return [int(full[a : max(a + 1, b)].max(initial=0)) for a, b in itertools.pairwise(ends)]


def _effective(of: LimitUse, chosen: Selection) -> list[int]:
    quota = of.limit.quota
    if not of.limit.adaptive:
        return [quota] * figures.POINTS
    span = (chosen.until - chosen.since) / figures.POINTS
    held, reached = _multiplier_before(of, chosen.since), 0
    lowest = [held] * figures.POINTS
    for at, after in _changes(of, chosen):
        here = (at - chosen.since) // span
        lowest[reached + 1 : here + 1] = [held] * (here - reached)
        lowest[here] = min(lowest[here], after)
        held, reached = after, here
    lowest[reached + 1 :] = [held] * (figures.POINTS - 1 - reached)
    return [max(1, math.floor(quota * multiplier)) for multiplier in lowest]


def _changes(of: LimitUse, chosen: Selection) -> Iterable[tuple[datetime, float]]:
    found: Any = _multipliers(of).filter(at__gte=chosen.since, at__lt=chosen.until).order_by("at", "id")
    return found.values_list("at", "after")  # type: ignore[no-any-return]


def _multiplier_before(of: LimitUse, moment: datetime) -> float:
    last = _multipliers(of).filter(at__lt=moment).order_by("-at", "-id").values_list("after", flat=True).first()
    return 1.0 if last is None else last


def _multipliers(of: LimitUse) -> Any:
    return MultiplierChange.objects.filter(Q(action_id="") | Q(action_id=of.action_id), tenant_id=of.tenant_id)
