"""The hours of a contact point: on which days, from when until when, in which time zone it gets alerts."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

ALL_DAYS, WEEKDAYS, WEEKENDS = "all", "weekdays", "weekends"
_DAYS = {ALL_DAYS: range(7), WEEKDAYS: range(5), WEEKENDS: range(5, 7)}


class Hours(NamedTuple):
    """``since`` and ``until`` are times of day, both or neither; ``until`` before ``since`` is on the next day.

    A night belongs to the day on which it begins: weekdays from 22:00 until 06:00 end on Saturday at 06:00.
    """

    days: str
    since: time | None
    until: time | None
    zone: str

    @property
    def always(self) -> bool:
        return self.days == ALL_DAYS and self.since is None

    def include(self, moment: datetime) -> bool:
        """Whether an aware moment lies within them."""
        local = moment.astimezone(ZoneInfo(self.zone))
        if self.since is None or self.until is None:
            return local.weekday() in _DAYS[self.days]
        now = local.time()
        if self.since < self.until:
            return self.since <= now < self.until and local.weekday() in _DAYS[self.days]
        if now >= self.since:
            return local.weekday() in _DAYS[self.days]
        return now < self.until and (local - timedelta(days=1)).weekday() in _DAYS[self.days]

    def next(self, moment: datetime) -> datetime:
        """The moment itself if they include it, else when they begin next."""
        if self.include(moment):
            return moment
        zone = ZoneInfo(self.zone)
        today = moment.astimezone(zone).date()
        for day in (today + timedelta(days=number) for number in range(8)):
            begin = datetime.combine(day, self.since or time(), zone)
            if day.weekday() in _DAYS[self.days] and begin > moment:
                return begin
        return moment
