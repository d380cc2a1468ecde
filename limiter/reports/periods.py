"""Times that people ask reports for by name: whole days of a time zone, before now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from limiter.reports.local_time import midnight


class Period(TextChoices):
    """A week begins on Monday."""

    YESTERDAY = "yesterday", _("yesterday")
    LAST_WEEK = "last_week", _("last week (Monday to Sunday)")
    LAST_MONTH = "last_month", _("last month")


def span(period: str, now: datetime) -> tuple[datetime, datetime]:
    """Since and until, in UTC; days are those of the zone that ``now`` is in."""
    since, until = _days(period, midnight(now))
    return since.astimezone(UTC), until.astimezone(UTC)


def _days(period: str, today: datetime) -> tuple[datetime, datetime]:
    """By the calendar: a day on which clocks are changed is shorter or longer, and whole."""
    if period == Period.YESTERDAY:
        return today - timedelta(days=1), today
    if period == Period.LAST_WEEK:
        monday = today - timedelta(days=today.weekday())
        return monday - timedelta(days=7), monday
    first = today.replace(day=1)
    return (first - timedelta(days=1)).replace(day=1), first
