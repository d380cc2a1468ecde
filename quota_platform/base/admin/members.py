"""What a stored document holds, for people: a line for each member in place of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from quota_platform.base.languages import number

register = template.Library()
_NAMES = ("id", "version", "position", "prefix", "status")
"""Ends of the names of numbers that count nothing."""


@register.filter
def in_lines(value: Any, *, name: str = "") -> SafeString | str:
    """A value of JSON: members of an object each in a line, objects in a list one after the other.

    ``name`` is that of the member. Numbers are rounded and grouped, unless they are names; times are to the second.
    """
    if isinstance(value, Mapping):
        lines = [(key, in_lines(inner, name=key)) for key, inner in value.items()]
        return format_html_join("", "<div class='q-line'><strong>{}</strong>: {}</div>", lines) or "-"
    if isinstance(value, list):
        return _list(value, name)
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, int | float):
        return str(value) if name.split("_")[-1] in _NAMES else number(value)
    return _text(str(value))


def document_in_lines(text: str) -> SafeString | str:
    """As :func:`in_lines`, of a text that may be JSON; a text that is none as it is, with its line breaks."""
    try:
        return in_lines(json.loads(text))
    except ValueError:
        return format_html("<div class='q-text'>{}</div>", text)


def _list(values: list[Any], name: str) -> SafeString | str:
    if any(isinstance(each, Mapping | list) for each in values):
        return format_html_join("", "<div class='q-line'>{}</div>", ((in_lines(each, name=name),) for each in values))
    return ", ".join(str(in_lines(each, name=name)) for each in values) or "-"


def _text(value: str) -> str:
    """A moment without its microseconds; another text as it is."""
    if len(value) < 19 or value[10:11] != "T":
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.tzinfo is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
