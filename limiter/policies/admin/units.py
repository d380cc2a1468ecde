"""Numbers as people say them: a window of "2 h", and "100 per minute" for a limit with its window."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.utils.translation import override as spoken

from limiter.core.amounts import with_number

_SHORT = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400}
_LENGTH = re.compile(r"(?P<count>\d{1,10})\s*(?P<unit>[^\W\d_]*)\.?")
_RATE = re.compile(r"(?P<units>\d{1,20})\s*(?:/|per|pro|por|je)\s*(?P<length>.+)", re.IGNORECASE)
_MAX_WRITTEN = 1_000
"""Larger counts have separators, which differ from language to language: these are written as seconds."""


def seconds_of(text: str) -> int | None:
    """The seconds that a text means, such as ``90``, ``2 h``, ``1 minute`` or ``minute``; None for another text."""
    text = text.strip() or "?"
    found = _LENGTH.fullmatch(text) or _LENGTH.fullmatch(f"1 {text}")
    if found is None:
        return None
    unit = found["unit"].casefold()
    size = _names().get(unit) if unit else 1
    return None if size is None else int(found["count"]) * size


def rate_of(text: str) -> tuple[int, int] | None:
    """Units and seconds of a text such as ``100 per minute`` or ``5/2 h``; None for another text."""
    found = _RATE.fullmatch(text.strip())
    seconds = seconds_of(found["length"]) if found else None
    return (int(found["units"]), seconds) if found and seconds else None


def _names() -> dict[str, int]:
    """The words for units of time in English and in the reader's language."""
    names = dict(_SHORT)
    for use in (_words, spoken("en")(_words)):
        names |= use()
    return names


def _words() -> dict[str, int]:
    found: dict[str, int] = {}
    for count in (1, 2):
        found |= {
            ngettext("{count} day", "{count} days", count): 86_400,
            ngettext("{count} hour", "{count} hours", count): 3_600,
            ngettext("{count} minute", "{count} minutes", count): 60,
            ngettext("{count} second", "{count} seconds", count): 1,
        }
    return {text.replace("{count}", "").strip().casefold(): size for text, size in found.items()}


class SecondsField(forms.IntegerField):
    """Seconds, typed and shown as a length of time."""

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        seconds = seconds_of(str(value))
        if seconds is None:
            raise ValidationError(_("Give a length of time such as 60, 1 min, 2 h or 1 day."), code="invalid")
        return seconds

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, int) or value <= 0:
            return value
        size = next(size for size in (86_400, 3_600, 60, 1) if value % size == 0)
        return with_number(value) if value // size < _MAX_WRITTEN else value


class QuotaField(forms.IntegerField):
    """Units, or a rate such as ``100 per minute``, whose window the form takes from :func:`rate_of`."""

    def to_python(self, value: Any) -> int | None:
        rate = rate_of(str(value)) if value not in self.empty_values else None
        return super().to_python(rate[0] if rate else value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """A rate always counts as typed anew: its window may be another one."""
        return bool(rate_of(str(data))) or super().has_changed(initial, data)
