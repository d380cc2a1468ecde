"""The names of time zones."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones


@cache
def names() -> frozenset[str]:
    """Every name in the machine's data. Read once: it takes hundreds of files, and pages ask each time."""
    return frozenset(available_timezones())
