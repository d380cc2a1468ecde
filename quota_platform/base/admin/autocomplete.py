"""Choosing a row by typing part of its name, also when a form comes back with something that is no row at all."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple


def is_row_id(value: str) -> bool:
    """Whether the text can be the id of a row: the database would fail on anything else."""
    return value.isascii() and value.isdigit() and len(value) < 19


def _row_ids(value: Any) -> list[str]:
    return [text for text in map(str, value or []) if is_row_id(text)]


class RowSelect(AutocompleteSelect):
    """Django's widget looks up whatever was posted, or stands in the address, and fails on a value that is no id."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, _row_ids(value), attr)


class RowSelectMultiple(AutocompleteSelectMultiple):
    """As :class:`RowSelect`, for several rows."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, _row_ids(value), attr)
