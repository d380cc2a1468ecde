"""Queries that are composed once. Django takes longer to compose one for a batch of names than SQLite to answer it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet


class _Composed(NamedTuple):
    """``places``: which of the names each parameter is. ``converted``: rows as Django's fields read them."""

    sql: str
    places: Sequence[int]
    converted: Callable[[Iterable[Sequence[Any]]], Iterable[Sequence[Any]]]


class _Kept(threading.local):
    """By the number of names."""

    def __init__(self) -> None:
        self.composed: dict[int, _Composed] = {}


class PreparedQuery:
    """``compose`` makes the query from a list of names (or IDs): its only parameters, each any number of times.

    Lists are filled up to a power of two by repeating a name, so that there are few of them. Each thread has its own:
    how rows are read belongs to its database connection.
    """

    def __init__(self, compose: Callable[[list[Any]], QuerySet[Any, Any]]) -> None:
        self._compose = compose
        self._kept = _Kept()

    def rows(self, names: Iterable[Any]) -> Iterable[Sequence[Any]]:
        """The rows for these names; the columns are those of the query."""
        given = list(names)
        if not given:
            return ()
        given += given[-1:] * ((1 << (len(given) - 1).bit_length()) - len(given))
        composed = self._composed(len(given))
        with connection.cursor() as cursor:
            cursor.execute(composed.sql, [given[place] for place in composed.places])
            return composed.converted(cursor.fetchall())

    def _composed(self, size: int) -> _Composed:
        kept = self._kept.composed
        if size not in kept:
            kept[size] = self._composed_anew(size)
        return kept[size]

    def _composed_anew(self, size: int) -> _Composed:
        compiler = self._compose(list(range(size))).query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        return _Composed(
            sql, [int(parameter) for parameter in parameters], lambda rows: compiler.apply_converters(rows, converters)
        )
