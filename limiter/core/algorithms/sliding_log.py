"""Sliding log: the time of every unit, exact to the microsecond."""

from __future__ import annotations

from limiter.core.rules import Rules
from limiter.core.types import MAX_LOG_QUOTA


class SlidingLog(Rules):
    letter = "l"
    place = 1
    label = "sliding log: exact"
    reserves = True
    max_quota = MAX_LOG_QUOTA
    quota_constraint = "limit_log_not_too_long"
    too_large = f"A sliding log holds at most {MAX_LOG_QUOTA:,} units; use a sliding counter."


RULES = SlidingLog()
