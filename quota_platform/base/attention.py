"""What needs a person's attention: each feature says it of its own rows, and the admin's first page shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

MAX_NAMED = 5
"""Rows of one kind that are named; the rest is a number with a link to the list."""


class Notice(NamedTuple):
    """``urgent``: something does not work; else it will not for long. ``url``: the page on which it is mended."""

    text: str
    url: str
    urgent: bool = False


Source = Callable[[Any], Iterable[Notice]]
"""The notices for a person, about rows that this person may see."""
