"""Times of a report in its time zone, each with its offset, so that the hour that comes twice is unambiguous."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from quota_platform.base.time_zones import UTC_NAME


def offset(at: datetime) -> str:
    """The offset of a local time, such as "+02:00"; "UTC" in UTC itself."""
    return UTC_NAME if at.tzinfo is UTC else at.isoformat(timespec="minutes")[16:]


def text(at: datetime, where: tzinfo, *, form: str = "%Y-%m-%d %H:%M") -> str:
    """A time with its offset, such as "2030-05-02 14:00 +02:00"."""
    local = at.astimezone(where)
    return f"{local:{form}} {offset(local)}"


def midnight(at: datetime) -> datetime:
    """The start of the day of a local time: of two midnights the first, and the first instant where there is none."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
