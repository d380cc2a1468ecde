"""Which edits of policies, limits, assignments and overrides are noted in the outbox."""

from __future__ import annotations

from limiter.policies.models import Assignment, Override, QuotaLimit, QuotaPolicy
from quota_platform.base import changes
from quota_platform.base.changes import DEFAULT, Topic, Touch


def connect() -> None:
    """Called once, when the app is ready."""
    changes.publish(QuotaPolicy, lambda row: [Touch(Topic.POLICY, row.pk)])
    changes.publish(QuotaLimit, lambda row: [Touch(Topic.POLICY, row.policy_id)])
    changes.publish(Assignment, _assigned)
    changes.publish(Override, lambda row: [Touch(Topic.TENANT, row.tenant_id)])


def _assigned(row: Assignment) -> list[Touch]:
    """An assignment belongs to what it names; an action's to that action's tenant."""
    if row.action is not None:
        return [Touch(Topic.TENANT, row.action.tenant_id)]
    return [DEFAULT if row.tenant_id is None else Touch(Topic.TENANT, row.tenant_id)]
