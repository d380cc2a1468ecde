"""Times that people ask reports for by name: whole days in UTC, before now."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Period(TextChoices):
    """A week begins on Monday."""

    YESTERDAY = "yesterday", _("yesterday")
    LAST_WEEK = "last_week", _("last week (Monday to Sunday)")
    LAST_MONTH = "last_month", _("last month")


def span(period: str, now: datetime) -> tuple[datetime, datetime]:
    """Since and until. ``now`` is in UTC."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == Period.YESTERDAY:
        return today - timedelta(days=1), today
    if period == Period.LAST_WEEK:
        monday = today - timedelta(days=today.weekday())
        return monday - timedelta(days=7), monday
    first = today.replace(day=1)
    return (first - timedelta(days=1)).replace(day=1), first
