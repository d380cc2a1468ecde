"""When a saved report is due, and which days it covers then. UTC throughout, so no hour is missing or comes twice."""

from __future__ import annotations

from datetime import datetime, timedelta

from limiter.reports.models import ReportSchedule

_EVERY = {ReportSchedule.Rhythm.DAILY: timedelta(days=1), ReportSchedule.Rhythm.WEEKLY: timedelta(days=7)}


def latest(schedule: ReportSchedule, now: datetime) -> datetime | None:
    """The last moment at which it was due; None when it has no rhythm, or none has come since it was armed."""
    moment = _last(schedule, now)
    return moment if moment and moment > schedule.armed_at else None


def following(schedule: ReportSchedule, now: datetime) -> datetime | None:
    """The next moment at which it will be due; None when there is none."""
    moment = _last(schedule, now)
    return moment + _EVERY[ReportSchedule.Rhythm(schedule.rhythm)] if moment and schedule.enabled else None


def _last(schedule: ReportSchedule, now: datetime) -> datetime | None:
    """The last moment of its rhythm up to now."""
    every = _EVERY.get(ReportSchedule.Rhythm(schedule.rhythm))
    if every is None:
        return None
    moment = now.replace(hour=schedule.hour, minute=0, second=0, microsecond=0)
    if schedule.rhythm == ReportSchedule.Rhythm.WEEKLY:
        moment -= timedelta(days=(moment.weekday() - schedule.weekday) % 7)
    return moment if moment <= now else moment - every


def covered(schedule: ReportSchedule, moment: datetime) -> tuple[datetime, datetime]:
    """Since and until of a run at this moment: the whole days before it."""
    until = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return until - timedelta(days=schedule.days), until
