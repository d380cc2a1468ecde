"""What policies bring: limits, their assignments, and overrides."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q

from limiter.policies import attention, event_types, floors, pools
from limiter.policies.models import Assignment, Override, QuotaLimit, QuotaPolicy
from quota_platform.base.changes import DEFAULT, Topic, Touch
from quota_platform.base.features import Audited, Feature, NavigationPage
from quota_platform.base.row_access import Rule, everything
from tenants.models import Connection, Tenant
from tenants.scope import by_tenant

_SECTION = "Quotas"
_LOOK = tuple(f"limiter.view_{row}" for row in ("quotapolicy", "quotalimit", "assignment", "override"))
_EDIT = tuple(
    f"limiter.{verb}_{row}"
    for row in ("quotapolicy", "quotalimit", "assignment", "override")
    for verb in ("add", "change", "delete")
)
_own = by_tenant("tenant", "action__tenant")


def _reaches_no_stranger(path: str) -> Any:
    """Policies without an assignment to everyone, to a tenant or to an action that the person does not see."""

    def condition(person: Any) -> Q:
        own = Assignment.objects.filter(_own(person)).values("pk")
        return ~Q(Exists(Assignment.objects.filter(policy=OuterRef(path)).exclude(pk__in=own)))

    return condition


def _assigned_to(row: Assignment) -> list[Touch]:
    """An assignment belongs to its target; an action's to that action's tenant."""
    if row.action is not None:
        return [Touch(Topic.TENANT, row.action.tenant_id)]
    return [DEFAULT if row.tenant_id is None else Touch(Topic.TENANT, row.tenant_id)]


def _tenant_of(row: Assignment) -> str:
    if row.action is not None:
        return row.action.tenant.tenant_id
    return row.tenant.tenant_id if row.tenant else ""


FEATURE = Feature(
    package="limiter.policies",
    events=event_types.TYPES,
    attention=attention.notices,
    rows={
        QuotaPolicy: Rule(seen=everything, changed=_reaches_no_stranger("pk")),
        QuotaLimit: Rule(seen=everything, changed=_reaches_no_stranger("policy")),
        # Everyone's policy counts for a person's tenants too: they see it, and need to see everyone to change it.
        Assignment: Rule(seen=lambda person: _own(person) | Q(target=Assignment.Target.DEFAULT), changed=_own),
        Override: Rule(seen=by_tenant("tenant")),
    },
    faults={
        Tenant: floors.fault_of_tenant,
        Assignment: floors.fault_of_assignment,
        Connection: pools.fault_of_connection,
    },
    audited={
        QuotaPolicy: Audited("policy"),
        QuotaLimit: Audited("limit"),
        Assignment: Audited("assignment", _tenant_of),
        Override: Audited("override", lambda row: str(row.tenant.tenant_id)),
    },
    published={
        QuotaPolicy: lambda row: [Touch(Topic.POLICY, row.pk)],
        QuotaLimit: lambda row: [Touch(Topic.POLICY, row.policy_id)],
        Assignment: _assigned_to,
        Override: lambda row: [Touch(Topic.TENANT, row.tenant_id)],
    },
    rights={
        "Supervisor": (*_LOOK, "limiter.add_override", "limiter.change_override", "limiter.reset_counter"),
        "Policy editor": (*_LOOK, *_EDIT),
        "Auditor": _LOOK,
    },
    pages=(
        NavigationPage(_SECTION, "Policies", "rule", "limiter.quotapolicy"),
        NavigationPage(_SECTION, "Assignments", "assignment_turned_in", "limiter.assignment"),
        NavigationPage(_SECTION, "Overrides", "timer", "limiter.override"),
    ),
    resources={
        "policies": "limiter.policies.api.policies.PolicyResource",
        "assignments": "limiter.policies.api.assignments.AssignmentResource",
        "overrides": "limiter.policies.api.overrides.OverrideResource",
    },
)
