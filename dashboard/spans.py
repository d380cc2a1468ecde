"""The time that a chart shows: a range until now, or from one time to another, and the steps it is drawn in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from django.utils.translation import gettext as _

RANGES = {"5m": 300, "15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800}
DAY_S = 86_400
MAX_SECONDS = 31 * DAY_S
MIN_SECONDS = 30
_POINTS = 360
_STEPS = (1, 5, 15, 60, 300, 900, 1_800, 3_600, 10_800)
"""Each divides a day, so that yesterday has the same steps."""
_WHOLE_S = 60
"""Steps from here on are shown before they are over: half an hour is too long to wait for."""


class SpanRefused(ValueError):
    """It cannot be shown; the text says which parameter is wrong and what to give."""


class Span(NamedTuple):
    """Seconds of the epoch from ``start`` until before ``end``, both multiples of ``step_s``."""

    start: int
    end: int
    step_s: int

    def times(self) -> range:
        return range(self.start, self.end, self.step_s)

    def earlier(self, seconds: int) -> Span:
        return Span(self.start - seconds, self.end - seconds, self.step_s)


@dataclass(frozen=True, slots=True)
class AskedSpan:
    """A range until now, or both ends of a span (seconds of the epoch)."""

    range: str = ""
    start: int = 0
    end: int = 0

    def span(self, now: int, *, seconds_kept_days: int) -> Span:
        """The span of time. Demand kept by the minute is not drawn in smaller steps."""
        end = self.end or now
        start = self.start or end - RANGES[self.range]
        by_minute = seconds_kept_days and start < now - seconds_kept_days * DAY_S
        step_s = next(s for s in _STEPS if (end - start) / s <= _POINTS and (s >= _WHOLE_S or not by_minute))
        if self.end or step_s >= _WHOLE_S:
            end += -end % step_s
        end -= end % step_s
        start = end - RANGES[self.range] if self.range else start
        return Span(start - start % step_s, end, step_s)


def asked(given: Mapping[str, str]) -> AskedSpan:
    """The parameters of a request; raises SpanRefused."""
    if "from" not in given and "to" not in given:
        name = given.get("range", "5m")
        if name not in RANGES:
            raise SpanRefused(_("range: give one of {ranges}.").format(ranges=", ".join(RANGES)))
        return AskedSpan(range=name)
    start, end = _second("from", given.get("from", "")), _second("to", given.get("to", ""))
    if not MIN_SECONDS <= end - start <= MAX_SECONDS:
        raise SpanRefused(_("to: give a time from 30 seconds to 31 days after “from”."))
    return AskedSpan(start=start, end=end)


def _second(name: str, text: str) -> int:
    """A time of ISO 8601; one without a time zone is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise SpanRefused(
            _("{name}: give a time such as {example}.").format(name=name, example="2026-07-14T10:42:00Z")
        ) from None
