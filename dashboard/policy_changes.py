"""Edits of policies that concern some tenants, as lines of a page: which limit, from how many to how many."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.db.models import Q

from dashboard.times import epoch_ms
from limiter.policies import versions
from limiter.policies.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.base import records

Line = dict[str, Any]


def lines(tenant_ids: Collection[str] | None, start: datetime, end: datetime, *, most: int) -> list[Line]:
    """The newest edits in this time of the policies that apply to these tenants or their actions, or of any policy."""
    rows = QuotaPolicy.history.filter(history_date__gte=start, history_date__lte=end)
    everyones, replaced = set[int](), frozenset[str]()
    if tenant_ids is not None:
        own, default = _applying(tenant_ids)
        rows, everyones = rows.filter(id__in=own | default), default - own
    newest = list(rows.select_related("history_user").order_by("-history_date")[:most])
    # A limit of everyone's policy that one tenant replaces may concern another.
    if tenant_ids and len(tenant_ids) == 1 and any(row.id in everyones for row in newest):
        replaced = _own_limits(*tenant_ids)
    edits = [(row, _edit(row, replaced if row.id in everyones else ())) for row in newest]
    return [line(row.history_date, "policy", **edit, by=records.editor(row)) for row, edit in edits if edit]


def _applying(tenant_ids: Collection[str]) -> tuple[set[int], set[int]]:
    """The policies of these tenants and of their actions, and everyone's."""
    of_tenants = Q(tenant__tenant_id__in=tenant_ids) | Q(action__tenant__tenant_id__in=tenant_ids)
    named = Assignment.objects.filter(of_tenants | Q(target=Assignment.Target.DEFAULT))
    found = set(named.order_by().values_list("policy_id", "target"))
    default = {policy for policy, target in found if target == Assignment.Target.DEFAULT}
    return {policy for policy, target in found if target != Assignment.Target.DEFAULT}, default


def _own_limits(tenant_id: str) -> frozenset[str]:
    """The names of the limits in the tenant's own policies: they take the place of everyone's of the same name."""
    own = Assignment.objects.filter(tenant__tenant_id=tenant_id, target=Assignment.Target.TENANT)
    limits = QuotaLimit.objects.filter(policy__in=own.values("policy"))
    return frozenset(limits.order_by().values_list("name", flat=True))


def _edit(row: Any, replaced: Collection[str]) -> Line | None:
    """None if all limits that it moved are replaced by others."""
    about: Line = {"policy": row.name, "version": row.version}
    if row.history_type == "+":
        return {"code": "change.policy_made", **about}
    all_moved = _moved(row.id, row.version, row.history_date)
    moved = [each for each in all_moved if each.limit not in replaced]
    if not moved:
        return None if all_moved else {"code": "change.policy", **about}
    change, more = moved[0], len(moved) - 1
    about |= {"limit": change.limit, "before": change.before.quota, "after": change.after.quota, "more": more}
    if change.before.window_s == change.after.window_s:
        return {"code": "change.policy_limits" if more else "change.policy_limit", **about}
    windows = {"window_before": change.before.window_s, "window_after": change.after.window_s}
    return {"code": "change.policy_windows" if more else "change.policy_window", **about, **windows}


class _Rate(NamedTuple):
    """Units in a window of seconds; of calls in flight 0 s."""

    quota: int
    window_s: int


class _Moved(NamedTuple):
    limit: str
    before: _Rate
    after: _Rate


@lru_cache(maxsize=1_000)
def _moved(policy_id: int, version: int, at: datetime) -> tuple[_Moved, ...]:
    """The limits whose number or window this version of a policy changed. ``at``, its time, tells apart versions of
    one number that a restored database has.
    """
    of = versions.limits_by_version(policy_id, [version - 1, version])
    before = {limit.name: _rate(limit) for limit in of[version - 1]}
    lines = [_Moved(limit.name, before.get(limit.name, _rate(limit)), _rate(limit)) for limit in of[version]]
    return tuple(each for each in lines if each.before != each.after)


def _rate(limit: QuotaLimit) -> _Rate:
    return _Rate(limit.quota, limit.window_seconds or 0)


def line(at: datetime, kind: str, **said: Any) -> Line:
    return {"at_ms": epoch_ms(at), "kind": kind, **said}
