"""What needs a person's attention: each feature says it of its own rows, and the admin's first page shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from django.db.models import QuerySet

MAX_NAMED = 5
"""Rows of one kind that are named; the rest is a number with a link to the list."""


class Notice(NamedTuple):
    """``urgent``: something does not work; else it will not for long. ``url``: the page on which it is mended."""

    text: str
    url: str
    urgent: bool = False


def first_of(
    rows: QuerySet[Any], notice: Callable[[Any], Notice], more: Callable[[int], str], *, url: str, urgent: bool = False
) -> Iterator[Notice]:
    """Of rows in the order of their weight: a notice of each of the first, and one with the number of the others.

    ``more`` says the number, ``url`` is their list, and ``urgent`` is about them.
    """
    yield from map(notice, rows[:MAX_NAMED])
    others = rows.count() - MAX_NAMED
    if others > 0:
        yield Notice(more(others).format(count=others), url, urgent=urgent)


Source = Callable[[Any], Iterable[Notice]]
"""The notices for a person, about rows that this person may see."""
