"""What of the limiter's rows a person sees, and changes, who does not see every tenant (:mod:`tenants.scope`)."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q

from limiter.alerts.models import Alert, AlertDelivery, AlertHook
from limiter.policies.models import Assignment, Override, QuotaLimit, QuotaPolicy
from limiter.record.models import (
    AuditEntry,
    DeadLetter,
    MultiplierChange,
    RecordGap,
    ThrottleEvent,
    UsageDay,
    UsageHour,
    UsageMinute,
)
from limiter.reports.models import Export, ReportSchedule
from quota_platform.base.row_access import everything, nothing, rule
from tenants.scope import by_name, by_tenant

_own = by_tenant("tenant", "action__tenant")


def connect() -> None:
    """Called once, when the app is ready."""
    rule(QuotaPolicy, seen=everything, changed=_reaches_no_stranger("pk"))
    rule(QuotaLimit, seen=everything, changed=_reaches_no_stranger("policy"))
    # Everyone's policy counts for a person's tenants too: it is shown, and changed by who sees everyone.
    rule(Assignment, seen=lambda person: _own(person) | Q(target=Assignment.Target.DEFAULT), changed=_own)
    rule(Override, seen=by_tenant("tenant"))
    for model in (Alert, ThrottleEvent, MultiplierChange, AuditEntry, UsageMinute, UsageHour, UsageDay):
        rule(model, seen=by_name, changed=nothing, made=False)
    rule(AlertHook, seen=by_tenant("tenant"))
    rule(AlertDelivery, seen=by_tenant("hook__tenant"), changed=nothing, made=False)
    # Whose an export or a saved report is, limiter.reports.access says.
    rule(Export, seen=everything)
    rule(ReportSchedule, seen=everything)
    # The platform's; and what they hold may be any tenant's.
    rule(RecordGap, seen=nothing, made=False)
    rule(DeadLetter, seen=nothing, made=False)


def _reaches_no_stranger(path: str) -> Any:
    """Policies without an assignment to everyone, to a tenant or to an action that the person does not see."""

    def condition(person: Any) -> Q:
        own = Assignment.objects.filter(_own(person)).values("pk")
        return ~Q(Exists(Assignment.objects.filter(policy=OuterRef(path)).exclude(pk__in=own)))

    return condition
