"""The findings of a summary in sentences, so that a reader knows the result before the charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from limiter.core.decision_ids import UPSTREAM
from limiter.core.in_flight import IN_FLIGHT
from limiter.core.sharing import PACE
from limiter.reports import local_time
from limiter.reports.consumption import Consumption
from limiter.reports.figures import Figures
from limiter.reports.naming import TenantNames
from limiter.reports.selection import Selection


def sentences(
    chosen: Selection,
    found: Figures,
    names: TenantNames,
    *,
    windows: Sequence[Consumption],
    slots: Sequence[Consumption],
) -> list[str]:
    """What came, who was refused by which limit and when, how full limits were, and whether the upstream was slow.

    ``windows`` and ``slots``: the fullest limits of each sort, fullest first.
    """
    calls = found.allowed_in_all + found.refused_in_all
    if not calls:
        return ["No call came in this time."]
    return [
        *_refusals(chosen, found, names, calls),
        *(_fullness(each, names, unit="units in a window") for each in windows[:1]),
        *(_fullness(each, names, unit="calls in flight at once") for each in slots[:1]),
        *_multipliers(chosen, found, names),
    ]


def _refusals(chosen: Selection, found: Figures, names: TenantNames, calls: int) -> Iterator[str]:
    if not found.refused_in_all:
        yield f"None of the {calls:,} calls was refused."
        return
    yield f"{found.refused_in_all:,} of {calls:,} calls were refused ({found.refused_in_all / calls:.1%})."
    if found.limits:
        worst = found.limits[0]
        where = names.pair(worst["tenant_id"], worst["action_id"])
        yield f"{_refuser(worst['limit_name'])} of {where} refused most: {worst['refusals']:,} calls."
    most = max(found.refused)
    if most:
        yield f"Most refusals came {_span(chosen, found, found.refused.index(most))}: {most:,}."


def _span(chosen: Selection, found: Figures, place: int) -> str:
    """When one of the drawn spans was, to the second if it is none of whole minutes."""
    length = (chosen.until - chosen.since) / len(found.moments)
    form = "%H:%M" if length.total_seconds() % 60 == 0 else "%H:%M:%S"
    first, last = (at.astimezone(chosen.zone) for at in (found.moments[place], found.moments[place] + length))
    day = "" if last.date() == first.date() else f"{last:%Y-%m-%d} "
    before, after = local_time.offset(first), local_time.offset(last)
    changed = "" if before == after else f" {before}"
    return f"between {first:%Y-%m-%d} {first:{form}}{changed} and {day}{last:{form}} {after}"


def _refuser(limit_name: str) -> str:
    """The limit, or the reason that stands in its place."""
    of_platform = {
        "": "The unavailable store",
        UPSTREAM: "The upstream's pauses and pace",
        IN_FLIGHT: "The learned limit",
        PACE: "The pace of the connection",
    }
    return of_platform.get(limit_name, f"The limit '{limit_name}'")


def _fullness(each: Consumption, names: TenantNames, *, unit: str) -> str:
    of, peak = each.of, each.most
    where = names.pair(of.tenant_id, of.action_id)
    return f"{where} used at most {peak:,} of the {of.limit.quota:,} {unit} of '{of.limit.name}' ({each.share:.0%})."


def _multipliers(chosen: Selection, found: Figures, names: TenantNames) -> Iterator[str]:
    if not found.multipliers:
        yield "No multiplier changed."
        yield from _lowest_limit(found, names)
        return
    at, tenant_id, lowest = min(found.multipliers, key=lambda change: change[2])
    if lowest < 1:
        when = local_time.text(at, chosen.zone)
        yield f"The upstream was slow: the multiplier of {names.of(tenant_id)} fell to {lowest:.2g} at {when}."


def _lowest_limit(found: Figures, names: TenantNames) -> Iterator[str]:
    """Calls in flight are cut without a multiplier: a limit that was, by how low it was when it refused."""
    cut = [each for each in found.limits if each["lowest"] < each["limit"]]
    if cut:
        worst = min(cut, key=lambda each: each["lowest"] / each["limit"])
        where = names.pair(worst["tenant_id"], worst["action_id"])
        name, lowest, limit = _refuser(worst["limit_name"]), worst["lowest"], worst["limit"]
        yield f"{name} of {where} was cut to {lowest:,} of {limit:,} at its lowest."
