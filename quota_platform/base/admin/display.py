"""Columns of the admin whose words have colours: coloured by the English word, shown in the reader's language."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from django.utils.translation import gettext
from unfold.decorators import display as unfold_display

WORDS: set[str] = set()
"""All words that columns may show, for the catalogues."""


class Word(NamedTuple):
    """Unfold's pair of the key of a colour and its text; outside of lists, in a form, only the text stands."""

    key: str
    text: str

    def __str__(self) -> str:
        return self.text


def display(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As unfold's, and with a ``label`` of colours the word that the method returns is translated."""
    colours = options.get("label")

    def mark(method: Callable[..., Any]) -> Any:
        if isinstance(colours, dict):
            WORDS.update(colours)
            method = _translated(method)
        return unfold_display(**options)(method)

    return mark


def _translated(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def shown(admin: Any, row: Any) -> Any:
        value = method(admin, row)
        if not value:
            return value
        return Word(*value) if isinstance(value, tuple) else Word(value, gettext(value))

    return shown
