"""Who an edit hits that brings tenants under smaller limits: an override, an assignment, or an end of one."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from django.db.models import Q, QuerySet

from limiter.core.types import Limit
from limiter.policies import stored
from limiter.policies.cuts import RECORD, Entries, Hit, LimitChange, Peak, hit_by, limits_over, units_of
from limiter.policies.effective import TenantRules
from limiter.policies.models import Assignment, Override, QuotaLimit
from limiter.policies.stored import PendingEdit
from tenants.models import Tenant


def by_override(row: Override) -> list[Hit]:
    """Tenants that used more in the last day than they will have once it starts, those that used most first."""
    now = time.time()
    raises = row.pk is None and (row.factor or 0) >= 1
    if raises or row.effect == Override.Effect.SHADOW or row.ends_at.timestamp() <= now:
        return []
    spec = stored.override_spec(row)

    def rules(held: TenantRules) -> TenantRules:
        return replace(held, overrides=(*(each for each in held.overrides if each.id != spec.id), spec))

    return _hits(Tenant.objects.filter(pk=row.tenant_id), PendingEdit(rules), at=max(now, spec.starts_at))


def by_assignment(row: Assignment, *, removed: bool = False) -> list[Hit]:
    """The same of an assignment that is made, changed or removed."""
    held = Assignment.objects.select_related("tenant", "action__tenant").filter(pk=row.pk).first()
    goes, comes = ([held] if held else []), ([] if removed else [row])

    def rules(before: TenantRules) -> TenantRules:
        for each in goes:
            before = _assigned(before, each, None)
        for each in comes:
            before = _assigned(before, each, each.policy_id)
        return before

    def default_id(before: int | None) -> int | None:
        ends = any(each.target == Assignment.Target.DEFAULT for each in goes)
        starts = [each.policy_id for each in comes if each.target == Assignment.Target.DEFAULT]
        return starts[0] if starts else None if ends else before

    return _hits(_reached([*goes, *comes]), PendingEdit(rules, default_id), at=time.time())


def _assigned(rules: TenantRules, row: Assignment, policy_id: int | None) -> TenantRules:
    """The rules with this policy where the assignment has it, or with none there."""
    name = rules.tenant.tenant_id
    if row.tenant and row.tenant.tenant_id == name:
        return replace(rules, policy_id=policy_id)
    if row.action and row.action.tenant.tenant_id == name:
        others = {action: held for action, held in rules.action_policy_ids.items() if action != row.action.action_id}
        return replace(rules, action_policy_ids=others | ({row.action.action_id: policy_id} if policy_id else {}))
    return rules


def _reached(rows: Iterable[Assignment]) -> QuerySet[Tenant]:
    rows = list(rows)
    if any(row.target == Assignment.Target.DEFAULT for row in rows):
        return Tenant.objects.all()
    owners = [row.action.tenant_id for row in rows if row.action]
    return Tenant.objects.filter(Q(pk__in=[row.tenant_id for row in rows]) | Q(pk__in=owners))


def _hits(tenants: QuerySet[Tenant], change: PendingEdit, *, at: float) -> list[Hit]:
    peaks = RECORD.read(tenants, set(QuotaLimit.objects.order_by().values_list("name", flat=True).distinct()))
    names = {peak.tenant_id for peak in peaks}
    if not names:
        return []
    before, after = stored.read_entries(names), stored.read_entries(names, after=change)

    def limits(peak: Peak) -> LimitChange | None:
        held, wanted = _limit(before, peak, at), _limit(after, peak, at)
        return LimitChange(held, wanted) if held and wanted and not wanted.shadow else None

    return hit_by(peaks, limits, before, at=at)


def _limit(entries: Entries, peak: Peak, at: float) -> Limit | None:
    """The limit of which the peak was, as it is at this time (epoch seconds): the smallest, if actions differ."""
    return min(limits_over(entries, peak, at=at), key=units_of, default=None)
