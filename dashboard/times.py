"""Times of pages: ``since`` and ``until`` of the address of a page of the record, and instants in frames.

A time without an offset is in the zone that the address names as ``tz``, which a form sends along, or in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from quota_platform.base import time_zones

NAMES = ("since", "until")


def epoch_ms(at: datetime) -> int:
    """As frames have it: milliseconds of the epoch."""
    return int(at.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """From ``since`` until before ``until``; None is open. ``wrong``: which one cannot be read, and the remedy."""

    since: datetime | None = None
    until: datetime | None = None
    wrong: str = ""


def read(asked: Mapping[str, str]) -> TimeFilter:
    """The span of an address; a part that cannot be read is left out, and said."""
    found: dict[str, datetime] = {}
    zone = time_zones.zone_or_utc(asked.get("tz", ""))
    for name in NAMES:
        text = asked.get(name, "").strip()
        if not text:
            continue
        try:
            at = datetime.fromisoformat(text)
            found[name] = (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)
        except (ValueError, OverflowError):
            label = _("From") if name == "since" else _("Until")
            return TimeFilter(wrong=_("{field}: give a day or a time, such as 2026-07-14T10:42.").format(field=label))
    return TimeFilter(found.get("since"), found.get("until"))


def in_address(span: TimeFilter) -> dict[str, str]:
    """The parameters of an address that means this span in every zone."""
    return {name: f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for name, at in _ends(span)}


def in_form(asked: Mapping[str, str], span: TimeFilter) -> dict[str, str]:
    """The values of a form's fields, in the reader's zone; one that could not be read stays as it is."""
    given = {name: asked[name] for name in NAMES if asked.get(name, "").strip()}
    return given if span.wrong else {name: f"{timezone.localtime(at):%Y-%m-%dT%H:%M:%S}" for name, at in _ends(span)}


def _ends(span: TimeFilter) -> list[tuple[str, datetime]]:
    return [(name, at) for name, at in zip(NAMES, (span.since, span.until), strict=True) if at]
