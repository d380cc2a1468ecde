"""Cells that a spreadsheet shows and never runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

_STARTS = ("=", "+", "-", "@", "\t", "\r")
Cell = str | int | float | None


def inert(text: str) -> str:
    """The text with an apostrophe before it when a spreadsheet would take it for a formula."""
    return "'" + text if text.startswith(_STARTS) else text


def cell(value: Any) -> Cell:
    """A value as a cell: numbers stay numbers, also negative ones; times are ISO 8601 in UTC."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return inert(json.dumps(value, sort_keys=True, ensure_ascii=False))
