"""Time zones by name."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

UTC_NAME = "UTC"


@cache
def names() -> frozenset[str]:
    """Every name in the machine's data. Read once: it takes hundreds of files, and pages ask each time."""
    return frozenset(available_timezones())


def zone(name: str) -> tzinfo:
    """The zone of this name; raises ZoneInfoNotFoundError or ValueError for one that this machine does not have."""
    return UTC if name == UTC_NAME else ZoneInfo(name)


def zone_or_utc(name: str) -> tzinfo:
    """The same for pages, and for rows that were made where a zone is known that this machine does not have."""
    return zone(name) if name in names() else UTC
