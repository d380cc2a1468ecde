"""The events of a rollout: some workers decide without an edit, and all of them decide by it again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from limiter import clients
from limiter.gateway import heartbeat, rollout
from quota_platform.base.events import Condition, EventType, Lasting
from quota_platform.base.models.change import Change
from tenants.models import Tenant

TAKEN_IN_AFTER = timedelta(seconds=10)
"""By then workers have taken an edit in: each looks for edits once a second, without waiting for the change bell."""
_EXAMPLE = {
    "tenant_id": None,
    "change": 812,
    "workers": 4,
    "live": 3,
    "since": "2026-11-25T10:30:00+00:00",
    "url": "https://quota.example.com/dashboard/",
}
_FACTS = {"Workers": "workers", "Of them with the edit": "live", "Edit": "change", "Since": "since"}
_INCIDENT = "quota-rollout"


def _incomplete() -> Iterable[Condition] | None:
    """By the workers' heartbeats; a worker that is gone does not count."""
    made = Change.objects.filter(at__lte=timezone.now() - TAKEN_IN_AFTER)
    change = made.aggregate(newest=Max("id"))["newest"] or 0
    try:
        with clients.shared_client() as client:
            found = rollout.of(change, None, heartbeat.read(client))
    except (RedisError, OSError):
        return None
    if found.live == found.workers:
        return []
    data = {"change": change, "workers": found.workers, "live": found.live}
    return [Condition(key="workers", data=data, tenants=Tenant.objects.none())]


TYPES = (
    EventType(
        name="rollout.incomplete",
        label=_("edit is not live on every worker"),
        title="An edit is live on {live} of {workers} workers",
        facts=_FACTS,
        severity="error",
        incident=_INCIDENT,
        example=_EXAMPLE,
        lasting=Lasting(now=_incomplete),
    ),
    EventType(
        name="rollout.complete",
        label=_("edits are live on every worker"),
        title="Over: edits are live on every worker",
        facts={**_FACTS, "Until": "until"},
        incident=_INCIDENT,
        ends="rollout.incomplete",
        example={**_EXAMPLE, "until": "2026-11-25T10:41:00+00:00"},
    ),
)
