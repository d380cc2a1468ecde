"""Texts that outlive the request in which they are made: kept in English, shown in the reader's language.

Stored, logged and sent texts are read by people of every language and by programs, so they stay English. A page that
shows one looks it up again, together with the values that it was filled with.
"""

from __future__ import annotations

import re

from django import template
from django.utils.translation import gettext

register = template.Library()
_PLACE = re.compile(r"\{(\w+)\}")
_NESTED = frozenset({"reason", "why"})
"""Names of values that are kept texts themselves."""
_NUMBERS = frozenset({"code", "count", "now", "status", "version"})

_kept: dict[str, re.Pattern[str]] = {}


def kept_text(text: str) -> str:
    """Mark a text that is kept, at module level, so that every page knows it; the text is returned unchanged.

    >>> ANSWERED = kept_text("The mail server answered {status}.")
    """
    _kept[text] = _pattern(text)
    return text


@register.filter
def in_words(text: str | None) -> str:
    """A kept text for its reader; one that nothing marks (a person's, another release's) as it is."""
    fitting = [(each, match) for each, pattern in _kept.items() if (match := pattern.fullmatch(text or ""))]
    if not fitting:
        return text or ""
    closest, match = max(fitting, key=lambda each: len(_PLACE.sub("", each[0])))
    values = {name: in_words(value) if name in _NESTED else value for name, value in match.groupdict().items()}
    return gettext(closest).format(**values)


def _pattern(text: str) -> re.Pattern[str]:
    """What a text looks like once it is filled; every name stands in it once."""
    pieces = _PLACE.split(text)
    found = [re.escape(piece) if place % 2 == 0 else _value(piece) for place, piece in enumerate(pieces)]
    return re.compile("".join(found), re.DOTALL)


def _value(name: str) -> str:
    """What may stand in its place: a person's own words are not taken for a text that has a number there."""
    return rf"(?P<{name}>[\d.]+)" if name in _NUMBERS else f"(?P<{name}>.*?)"
