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
from limiter.core.types import Limit
from limiter.policies import stored
from limiter.policies.compiled import PolicyUnavailable
from limiter.policies.effective import TenantEntry
from limiter.policies.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.base.languages import number
from tenants.models import Tenant

_NAMED = 5
"""Tenants that a sentence names; it counts the others."""


class Peak(NamedTuple):
    """The most units of a limit that were in use at once. ``action_id``: "" where it counts for all actions."""

    tenant_id: str
    action_id: str
    limit_name: str
    used: int


PeakReader = Callable[[QuerySet[Tenant], Collection[str]], list[Peak]]


@dataclass(slots=True)
class _Record:
    """The record of demand, which stands above policies: the platform hands its reader in."""

    read: PeakReader = lambda tenants, limits: []


RECORD = _Record()


@dataclass(frozen=True, slots=True)
class Hit:
    """A tenant that would have been refused calls in the last day."""

    tenant: Tenant
    peak: Peak
    limit: int
    """What the limit will have."""


def hits(policy: QuotaPolicy, wanted: Iterable[QuotaLimit]) -> dict[str, list[Hit]]:
    """By limit, the tenants that used more in the last day than it will have, those that used most first.

    Only limits that get fewer units in the same window or a longer one count, and of the tenants those under this very
    limit now.
    """
    lowered = dict(_lowered(policy, wanted))
    if not lowered or policy.mode == QuotaPolicy.Mode.SHADOW:
        return {}
    peaks = RECORD.read(_reached(policy), lowered.keys())
    over = [peak for peak in peaks if peak.used > lowered[peak.limit_name]]
    entries = stored.read_entries({peak.tenant_id for peak in over}) if over else {}
    tenants = {row.tenant_id: row for row in Tenant.objects.filter(tenant_id__in=entries)}
    found: defaultdict[str, list[Hit]] = defaultdict(list)
    for peak in sorted(over, key=lambda peak: -peak.used):
        entry = entries.get(peak.tenant_id)
        if isinstance(entry, TenantEntry) and _in_force(entry, policy, peak):
            found[peak.limit_name].append(Hit(tenants[peak.tenant_id], peak, lowered[peak.limit_name]))
    return dict(found)


def _lowered(policy: QuotaPolicy, wanted: Iterable[QuotaLimit]) -> Iterator[tuple[str, int]]:
    """The limits that get fewer units, and how many they get."""
    stored_lines = {line.name: line for line in QuotaLimit.objects.filter(policy=policy.pk)} if policy.pk else {}
    for line in wanted:
        before = stored_lines.get(line.name)
        if before is None or before.algorithm != line.algorithm or _is_shorter(line, before):
            continue
        units = rules_of(line.algorithm).capacity_of(line)
        if units < rules_of(before.algorithm).capacity_of(before):
            yield line.name, units


def _is_shorter(line: QuotaLimit, before: QuotaLimit) -> bool:
    """Units in use in a window are in use in every longer one that contains it, too; in a shorter one perhaps not."""
    return (line.window_seconds or 0) < (before.window_seconds or 0)


def _reached(policy: QuotaPolicy) -> QuerySet[Tenant]:
    if policy.assignments.filter(target=Assignment.Target.DEFAULT).exists():
        return Tenant.objects.all()
    assigned = Assignment.objects.filter(policy=policy)
    return Tenant.objects.filter(
        Q(pk__in=assigned.values("tenant_id")) | Q(pk__in=assigned.values("action__tenant_id"))
    )


def _in_force(entry: TenantEntry, policy: QuotaPolicy, peak: Peak) -> bool:
    """Whether the tenant's calls stand under this policy's limit, and no narrower one of the same name."""
    actions = [peak.action_id] if peak.action_id else [None, *entry.rules.action_policy_ids]
    try:
        limits = [limit for action_id in actions for limit in entry.plan(action_id, time.time()).limits]
    except PolicyUnavailable:
        return False
    return any(_is(limit, policy, peak) for limit in limits)


def _is(limit: Limit, policy: QuotaPolicy, peak: Peak) -> bool:
    return limit.name == peak.limit_name and limit.policy_name == policy.name


def sentence(of: Collection[Hit], *, seen: Mapping[str, Tenant]) -> str:
    """The tenants that a limit hits, by name as far as the reader sees them."""
    known = [hit for hit in of if hit.tenant.tenant_id in seen]
    names = [_one(hit) for hit in known[:_NAMED]]
    if more := len(of) - len(names):
        names.append(ngettext("{more} more", "{more} more", more).format(more=more))
    said = _("More than {limit} units were in use at once in the last 24 hours: {names}.")
    return said.format(limit=number(next(iter(of)).limit), names=", ".join(names))


def _one(hit: Hit) -> str:
    where = f"{hit.tenant.name} · {hit.peak.action_id}" if hit.peak.action_id else hit.tenant.name
    return f"{where} ({number(hit.peak.used)})"
