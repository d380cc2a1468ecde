"""Who a save hits that lowers a limit: tenants whose calls used more of it in the last day than it will have."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from limiter.core.algorithms import rules_of
from limiter.core.types import MICROS, CountedPer, Limit
from limiter.policies import stored
from limiter.policies.compiled import PolicyUnavailable
from limiter.policies.effective import TenantEntry
from limiter.policies.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies.replayed import NONE, RecordedUnits, at_once, can_replay, excess, may_refuse_more, together
from quota_platform.base.languages import number
from tenants.models import Tenant

_NAMED = 5
"""Tenants that a sentence names; it counts the others."""


Entries = Mapping[str, TenantEntry | stored.Unusable]


class Peak(NamedTuple):
    """The most units of a limit that were in use at once. ``action_id``: "" where it counts for all actions."""

    tenant_id: str
    action_id: str
    limit_name: str
    used: int


class LimitChange(NamedTuple):
    """A limit as it is, and as the edit wants it."""

    held: Limit
    wanted: Limit


PeakReader = Callable[[QuerySet[Tenant], Collection[str]], list[Peak]]
UnitsReader = Callable[[Collection[str]], Iterable[tuple[str, Mapping[str, RecordedUnits]]]]


@dataclass(slots=True)
class _Record:
    """The record of demand, which stands above policies: the platform hands its readers in.

    ``units``: of one tenant after the other, the units of allowed calls by action.
    """

    read: PeakReader = lambda tenants, limits: []
    units: UnitsReader = lambda tenant_ids: ()


RECORD = _Record()


@dataclass(frozen=True, slots=True)
class Hit:
    """A tenant that would have been refused calls in the last day.

    ``peak``: the units in use at once, counted as the limit will count.
    """

    tenant: Tenant
    peak: Peak
    limit: int
    """What the limit will have."""


def hits(policy: QuotaPolicy, wanted: Iterable[QuotaLimit]) -> dict[str, list[Hit]]:
    """By limit, the tenants that used more in the last day than it will have, those that used most first.

    Only limits count that refuse calls which they admit now, and of the tenants those under this very limit.
    """
    changed = dict(_changed(policy, wanted))
    if not changed or policy.mode == QuotaPolicy.Mode.SHADOW:
        return {}
    peaks = RECORD.read(_reached(policy), changed.keys())
    entries = stored.read_entries({peak.tenant_id for peak in peaks}) if peaks else {}
    at = time.time()

    def limits(peak: Peak) -> LimitChange | None:
        return changed[peak.limit_name] if _is_under(entries, peak, policy.name, at=at) else None

    found: defaultdict[str, list[Hit]] = defaultdict(list)
    for hit in hit_by(peaks, limits, entries, at=at):
        found[hit.peak.limit_name].append(hit)
    return dict(found)


def hit_by(
    peaks: list[Peak], limits: Callable[[Peak], LimitChange | None], entries: Entries, *, at: float
) -> list[Hit]:
    """Those whose recorded calls a changed limit would have refused, those that used most first.

    ``limits``: the limit of which a peak was, held and wanted; None where it stands under no such limit. ``entries``:
    the tenants as they are, which tell what actions share a limit, ``at`` this time (epoch seconds).
    """
    changes = {
        peak: change
        for peak in peaks
        if (change := limits(peak)) and may_refuse_more(*change) and _is_of(peak, change.held)
    }
    used = {peak: peak.used for peak, change in changes.items() if _is_below(peak.used, *change)}
    for peak, units in _replayed(changes, entries, at=at):
        used[peak] = max(units, used.get(peak, 0))
    tenants = {row.tenant_id: row for row in Tenant.objects.filter(tenant_id__in={peak.tenant_id for peak in used})}
    found = [
        Hit(tenants[peak.tenant_id], peak._replace(used=units), units_of(changes[peak].wanted))
        for peak, units in used.items()
        if peak.tenant_id in tenants
    ]
    return sorted(found, key=lambda hit: -hit.peak.used)


def _is_of(peak: Peak, held: Limit) -> bool:
    """Whether the limit counts as it did when the peak was recorded: by action, or for all actions."""
    return bool(peak.action_id) == (held.counted_per is CountedPer.ACTION)


def _is_below(used: int, held: Limit, wanted: Limit) -> bool:
    """Whether a limit gets fewer units than were in use of it.

    Units in use in a window are in use in every longer one that contains it, too; in a shorter one perhaps not.
    """
    alike = held.algorithm == wanted.algorithm and wanted.window_us >= held.window_us
    return alike and units_of(wanted) < min(units_of(held), used)


def _replayed(changes: Mapping[Peak, LimitChange], entries: Entries, *, at: float) -> Iterator[tuple[Peak, int]]:
    """The units that would have been in use at once, of the limits that the recorded calls would have passed."""
    by_tenant: defaultdict[str, list[Peak]] = defaultdict(list)
    for peak, change in changes.items():
        if can_replay(*change):
            by_tenant[peak.tenant_id].append(peak)
    shared = _Shared()
    for tenant_id, recorded in RECORD.units(by_tenant.keys()) if by_tenant else ():
        for peak in by_tenant[tenant_id]:
            of, entry = _of_peak(peak, recorded, entries, at=at), entries[tenant_id]
            if changes[peak].wanted.counted_per is CountedPer.CONNECTION and isinstance(entry, TenantEntry):
                shared.add(peak, of, connection=entry.tenant.connection.id)
            else:
                yield from _passed(peak, changes[peak], of)
    for peak, of in shared.each():
        yield from _passed(peak, changes[peak], of)


class _Shared:
    """Limits that the tenants of a connection use together: their calls, and the peaks that are of them."""

    def __init__(self) -> None:
        self._recorded: dict[tuple[int, str], RecordedUnits] = {}
        self._peaks: defaultdict[tuple[int, str], list[Peak]] = defaultdict(list)

    def add(self, peak: Peak, recorded: RecordedUnits, *, connection: int) -> None:
        of = connection, peak.limit_name
        self._recorded[of] = together([self._recorded.get(of, NONE), recorded])
        self._peaks[of].append(peak)

    def each(self) -> Iterator[tuple[Peak, RecordedUnits]]:
        return ((peak, self._recorded[of]) for of, peaks in self._peaks.items() for peak in peaks)


def _passed(peak: Peak, change: LimitChange, recorded: RecordedUnits) -> Iterator[tuple[Peak, int]]:
    """Calls that passed the limit before are nobody's cut: it was raised, or decided by workers alone."""
    if excess(change.wanted, recorded) > excess(change.held, recorded):
        yield peak, at_once(change.wanted, recorded)


def _of_peak(peak: Peak, recorded: Mapping[str, RecordedUnits], entries: Entries, *, at: float) -> RecordedUnits:
    """The calls that the limit counts: of one action, or of the tenant's actions under it."""
    if peak.action_id:
        return recorded.get(peak.action_id, NONE)
    return together(
        of
        for action_id, of in recorded.items()
        if any(limit.name == peak.limit_name for limit in _limits_of(entries, peak.tenant_id, action_id, at=at))
    )


def _changed(policy: QuotaPolicy, wanted: Iterable[QuotaLimit]) -> Iterator[tuple[str, LimitChange]]:
    """The limits that may refuse more than they do."""
    stored_lines = {line.name: line for line in QuotaLimit.objects.filter(policy=policy.pk)} if policy.pk else {}
    for line in wanted:
        before = stored_lines.get(line.name)
        if before is not None:
            change = LimitChange(_limit(before), _limit(line))
            if may_refuse_more(*change):
                yield line.name, change


def _limit(line: QuotaLimit) -> Limit:
    return Limit(
        name=line.name,
        algorithm=line.algorithm,
        quota=line.quota or 0,
        window_us=(line.window_seconds or 0) * MICROS,
        burst=line.burst or 0,
        counted_per=CountedPer(line.counted_per),
        counted_by=line.counted_by,
    )


def _reached(policy: QuotaPolicy) -> QuerySet[Tenant]:
    if policy.assignments.filter(target=Assignment.Target.DEFAULT).exists():
        return Tenant.objects.all()
    assigned = Assignment.objects.filter(policy=policy)
    return Tenant.objects.filter(
        Q(pk__in=assigned.values("tenant_id")) | Q(pk__in=assigned.values("action__tenant_id"))
    )


def _is_under(entries: Entries, peak: Peak, policy_name: str, *, at: float) -> bool:
    """Whether the tenant's calls stand under this policy's limit, and no narrower one of the same name."""
    return any(limit.policy_name == policy_name for limit in limits_over(entries, peak, at=at))


def limits_over(entries: Entries, peak: Peak, *, at: float) -> list[Limit]:
    """Those that a peak may be of, at this time: of its name, over its action or over any of the tenant's."""
    entry = entries.get(peak.tenant_id)
    if not isinstance(entry, TenantEntry):
        return []
    actions = [peak.action_id] if peak.action_id else [None, *entry.rules.action_policy_ids]
    limits = (limit for action_id in actions for limit in _limits_of(entries, peak.tenant_id, action_id, at=at))
    return [limit for limit in limits if limit.name == peak.limit_name]


def _limits_of(entries: Entries, tenant_id: str, action_id: str | None, *, at: float) -> tuple[Limit, ...]:
    """The limits of a tenant's action at this time; none if its policy cannot compile."""
    entry = entries.get(tenant_id)
    try:
        return entry.plan(action_id, at).limits if isinstance(entry, TenantEntry) else ()
    except PolicyUnavailable:
        return ()


def units_of(limit: Limit) -> int:
    """The most that may be in use at once."""
    return rules_of(limit.algorithm).capacity(limit)


def sentence(of: Collection[Hit], *, seen: Mapping[str, Tenant]) -> str:
    """The tenants that a limit hits, by name as far as the reader sees them."""
    known = [hit for hit in of if hit.tenant.tenant_id in seen]
    names = [_one(hit) for hit in known[:_NAMED]]
    if more := len(of) - len(names):
        names.append(ngettext("{more} more", "{more} more", more).format(more=more))
    said = _("More than {limit} units would have been in use at once in the last 24 hours: {names}.")
    return said.format(limit=number(next(iter(of)).limit), names=", ".join(names))


def _one(hit: Hit) -> str:
    where = f"{hit.tenant.name} · {hit.peak.action_id}" if hit.peak.action_id else hit.tenant.name
    return f"{where} ({number(hit.peak.used)})"
