"""When a saved report is due, and which days it covers then: by the clock and the calendar of its time zone.

On the day on which clocks are changed an hour is missing or comes twice. A report that is due in it runs once: at the
instant of the change, or the first time. Moments are returned in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from limiter.reports.local_time import midnight
from limiter.reports.models import ReportSchedule
from quota_platform.base.time_zones import zone_or_utc

_EVERY = {ReportSchedule.Rhythm.DAILY: timedelta(days=1), ReportSchedule.Rhythm.WEEKLY: timedelta(days=7)}


def latest(schedule: ReportSchedule, now: datetime) -> datetime | None:
    """The last moment at which it was due; None when it has no rhythm, or none has come since it was armed."""
    moment = _last(schedule, now)
    return moment.astimezone(UTC) if moment and moment > schedule.armed_at else None


def following(schedule: ReportSchedule, now: datetime) -> datetime | None:
    """The next moment at which it will be due; None when there is none."""
    moment = _last(schedule, now)
    if moment is None or not schedule.enabled:
        return None
    return (moment + _EVERY[ReportSchedule.Rhythm(schedule.rhythm)]).astimezone(UTC)


def _last(schedule: ReportSchedule, now: datetime) -> datetime | None:
    """The last moment of its rhythm up to now, in its time zone, where days are added by the calendar."""
    every = _EVERY.get(ReportSchedule.Rhythm(schedule.rhythm))
    if every is None:
        return None
    moment = midnight(now.astimezone(zone_or_utc(schedule.time_zone))).replace(hour=schedule.hour)
    if schedule.rhythm == ReportSchedule.Rhythm.WEEKLY:
        moment -= timedelta(days=(moment.weekday() - schedule.weekday) % 7)
    return moment if moment.astimezone(UTC) <= now else moment - every


def covered(schedule: ReportSchedule, moment: datetime) -> tuple[datetime, datetime]:
    """Since and until of a run at this moment: the whole days before it."""
    until = midnight(moment.astimezone(zone_or_utc(schedule.time_zone)))
    return (until - timedelta(days=schedule.days)).astimezone(UTC), until.astimezone(UTC)
