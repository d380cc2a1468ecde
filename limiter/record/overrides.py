"""Entering into the record when an override takes effect and when it ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from limiter.policies.models import Override
from limiter.record import chain
from limiter.record.chain import Draft
from limiter.record.models import AuditEntry

_LOOK_BACK = timedelta(days=7)
"""Runs that were missed are made up for within a week."""


def note(*, now: datetime | None = None) -> int:
    """Enter the starts and ends that have come and are not entered yet; returns how many."""
    now = now or timezone.now()
    drafts = [draft for field in ("starts_at", "ends_at") for draft in _due(field, now)]
    names = [draft.once for draft in drafts if draft.once]
    entered = set(AuditEntry.objects.filter(once__in=names).values_list("once", flat=True))
    return len(chain.append([draft for draft in drafts if draft.once not in entered]))


def _due(field: str, now: datetime) -> list[Draft]:
    window: dict[str, Any] = {f"{field}__gt": now - _LOOK_BACK, f"{field}__lte": now}
    kind = "override.started" if field == "starts_at" else "override.ended"
    found = Override.objects.filter(**window).select_related("tenant", "action").order_by(field, "pk")
    return [
        Draft(
            kind,
            tenant_id=override.tenant.tenant_id,
            at=getattr(override, field),
            once=f"{kind}:{override.pk}:{getattr(override, field).isoformat()}",
            payload={
                "override": override.pk,
                "action_id": override.action.action_id if override.action else "",
                "limit_name": override.limit_name,
                "effect": override.effect,
                "factor": override.factor,
                "quota": override.quota,
                "reason": override.reason,
            },
        )
        for override in found
    ]
