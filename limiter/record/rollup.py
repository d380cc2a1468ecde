"""The retention of usage at each level, and the deletion of older rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from limiter.record import pruning
from limiter.record.models import UsageBatch, UsageDay, UsageHour, UsageMinute
from limiter.record.models.usage import Usage

_BATCHES_KEPT = timedelta(days=15)
"""Longer than the store keeps a batch that nobody finished."""


def kept() -> dict[type[Usage], timedelta | None]:
    """How long each level is kept; None is for good."""
    env = settings.ENV
    return {
        UsageMinute: _age(env.USAGE_MINUTES_KEPT_DAYS),
        UsageHour: _age(env.USAGE_HOURS_KEPT_DAYS),
        UsageDay: _age(env.USAGE_DAYS_KEPT_DAYS),
    }


def _age(days: int) -> timedelta | None:
    return timedelta(days=days) if days else None


def prune(*, now: datetime | None = None) -> int:
    """Delete usage that is older than its level is kept, in short transactions; returns how many rows went."""
    now = now or timezone.now()
    gone = sum(pruning.delete(model, start__lt=now - age) for model, age in kept().items() if age is not None)
    pruning.delete(UsageBatch, at__lt=now - _BATCHES_KEPT)
    return gone
