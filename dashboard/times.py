"""The time that a page of the record is asked for: ``since`` and ``until`` of its address, in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.translation import gettext as _

NAMES = ("since", "until")


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` until before ``until``; None is open. ``wrong``: which one cannot be read, and the remedy."""

    since: datetime | None = None
    until: datetime | None = None
    wrong: str = ""


def read(asked: Mapping[str, str]) -> Span:
    """The span of an address; a part that cannot be read is left out, and said."""
    found: dict[str, datetime] = {}
    for name in NAMES:
        text = asked.get(name, "").strip()
        if not text:
            continue
        try:
            at = datetime.fromisoformat(text)
            found[name] = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            label = _("From") if name == "since" else _("Until")
            return Span(wrong=_("{field}: give a day or a time, such as 2026-07-14T10:42.").format(field=label))
    return Span(found.get("since"), found.get("until"))


def written(at: datetime) -> str:
    """A moment as an address and a form's field have it: UTC, by the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
