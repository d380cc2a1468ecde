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
    if tenant_ids is not None:
        rows = rows.filter(id__in=_applying(tenant_ids))
    newest = rows.select_related("history_user").order_by("-history_date")[:most]
    return [line(row.history_date, "policy", **_edit(row), by=records.editor(row)) for row in newest]


def _applying(tenant_ids: Collection[str]) -> set[int]:
    of_tenants = Q(tenant__tenant_id__in=tenant_ids) | Q(action__tenant__tenant_id__in=tenant_ids)
    named = Assignment.objects.filter(of_tenants | Q(target=Assignment.Target.DEFAULT))
    return set(named.order_by().values_list("policy_id", flat=True).distinct())


def _edit(row: Any) -> Line:
    about: Line = {"policy": row.name, "version": row.version}
    if row.history_type == "+":
        return {"code": "change.policy_made", **about}
    moved = _moved(row.id, row.version, row.history_date)
    if not moved:
        return {"code": "change.policy", **about}
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
