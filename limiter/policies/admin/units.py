"""Rates as people say them: "100 per minute" for a limit with its window."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from quota_platform.base.admin.seconds import seconds_of

_RATE = re.compile(r"(?P<units>\d{1,20})\s*(?:/|per|pro|por|je)\s*(?P<length>.+)", re.IGNORECASE)


def rate_of(text: str) -> tuple[int, int] | None:
    """Units and seconds of a text such as ``100 per minute`` or ``5/2 h``; None for another text."""
    found = _RATE.fullmatch(text.strip())
    seconds = seconds_of(found["length"]) if found else None
    return (int(found["units"]), int(seconds)) if found and seconds and seconds == int(seconds) else None


class QuotaField(forms.IntegerField):
    """Units, or a rate such as ``100 per minute``, whose window the form takes from :func:`rate_of`."""

    def to_python(self, value: Any) -> int | None:
        rate = rate_of(str(value)) if value not in self.empty_values else None
        return super().to_python(rate[0] if rate else value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """A rate always counts as typed anew: its window may be another one."""
        return bool(rate_of(str(data))) or super().has_changed(initial, data)
