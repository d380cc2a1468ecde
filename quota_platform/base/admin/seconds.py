"""Fields of seconds or milliseconds, typed and shown as a length such as "2 h" or "800 ms"; the row keeps numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.functional import lazystr
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.utils.translation import override as spoken
from unfold.widgets import UnfoldAdminTextInputWidget

_NAMED = re.compile(r"_(s|seconds)$")
"""How the columns end that hold seconds."""
_IN_MS = re.compile(r"_ms$")
_IN_LABEL = re.compile(r"\s*\(s\)$|\s*\(ms\)$|,\s*ms(?=\)$)")
_SHORT = {"ms": 0.001, "s": 1, "sec": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400}
_LENGTH = re.compile(r"(?P<count>\d{1,10})(?:[.,](?P<part>\d{1,6}))?\s*(?P<unit>[^\W\d_]*)\.?")
_WORDS: Mapping[int, Callable[[int], str]] = {
    86_400: lambda count: ngettext("{count} day", "{count} days", count),
    3_600: lambda count: ngettext("{count} hour", "{count} hours", count),
    60: lambda count: ngettext("{count} minute", "{count} minutes", count),
    1: lambda count: ngettext("{count} second", "{count} seconds", count),
}
_MAX_WRITTEN = 1_000
"""Larger counts have separators, which differ from language to language: these are written as seconds."""


def typed(column: models.Field[Any, Any]) -> dict[str, Any]:
    """How a column of seconds or milliseconds gets its field in a form; empty for any other."""
    whole = isinstance(column, models.IntegerField)
    if whole and _IN_MS.search(column.name):
        label = lazystr(_Label(column))
        return {"form_class": MillisecondsField, "widget": UnfoldAdminTextInputWidget(), "label": label}
    if not _NAMED.search(column.name) or not (whole or isinstance(column, models.FloatField)):
        return {}
    return {
        "form_class": SecondsField if whole else PartSecondsField,
        "widget": UnfoldAdminTextInputWidget(),
        "label": lazystr(_Label(column)),
    }


class _Label:
    """The column's name without its unit, which the value has."""

    def __init__(self, column: models.Field[Any, Any]) -> None:
        self.column = column

    def __str__(self) -> str:
        said = _IN_LABEL.sub("", str(self.column.verbose_name))
        return said[:1].upper() + said[1:]


def seconds_of(text: str) -> float | None:
    """The seconds that a text means, such as ``90``, ``1.5 h``, ``1 minute`` or ``minute``; None for another text."""
    text = text.strip() or "?"
    found = _LENGTH.fullmatch(text) or _LENGTH.fullmatch(f"1 {text}")
    if found is None:
        return None
    unit = found["unit"].casefold()
    size = _names().get(unit) if unit else 1
    if size is None:
        return None
    count = int(found["count"])
    return float(f"{count}.{found['part']}") * size if found["part"] else count * size


def in_words(seconds: float) -> str | None:
    """A length of time with the largest unit that fits exactly; None for one that is better written as a number."""
    if seconds <= 0 or seconds != int(seconds):
        return None
    size = next(size for size in _WORDS if seconds % size == 0)
    count = int(seconds) // size
    return _WORDS[size](count).format(count=count) if count < _MAX_WRITTEN else None


def _names() -> dict[str, float]:
    """The words for units of time in English and in the reader's language."""
    return _SHORT | _in_language() | spoken("en")(_in_language)()


def _in_language() -> dict[str, int]:
    found = {word(count): size for size, word in _WORDS.items() for count in (1, 2)}
    return {text.replace("{count}", "").strip().casefold(): size for text, size in found.items()}


def _read(value: Any) -> float:
    seconds = seconds_of(str(value))
    if seconds is None:
        raise ValidationError(_("Give a length of time such as 60, 1 min, 2 h or 1 day."), code="invalid")
    return seconds


def _shown(value: Any) -> Any:
    said = in_words(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return value if said is None else said


class SecondsField(forms.IntegerField):
    """Whole seconds."""

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        seconds = _read(value)
        if seconds != int(seconds):
            raise ValidationError(_("Give whole seconds."), code="invalid")
        return int(seconds)

    def prepare_value(self, value: Any) -> Any:
        return _shown(value)


class PartSecondsField(forms.FloatField):
    """Seconds and parts of them."""

    def to_python(self, value: Any) -> float | None:  # type: ignore[override]
        return None if value in self.empty_values else float(_read(value))

    def prepare_value(self, value: Any) -> Any:
        return _shown(value)


class MillisecondsField(forms.IntegerField):
    """Whole milliseconds: a plain number stays one of milliseconds, "1.5 s" is 1,500 of them."""

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        text = str(value).strip()
        named = seconds_of(text)
        if named is None:
            raise ValidationError(_("Give a length of time such as 800, 800 ms or 1.5 s."), code="invalid")
        exactly = named * 1_000 if any(map(str.isalpha, text)) else named
        if abs(exactly - round(exactly)) > 1e-6:
            raise ValidationError(_("Give whole milliseconds."), code="invalid")
        return round(exactly)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return value
        return (in_words(value / 1_000) or f"{value} ms") if value else value
