"""Cells that a spreadsheet shows and never runs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, tzinfo
from typing import Any

_FORMULA = re.compile(r"""(?:\A|[\r\n]"?)[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]""")
"""At its beginning, or at that of a line in it: a program that ends a cell at a bare line break sees one there."""
Cell = str | int | float | None


def inert(text: str) -> str:
    """The text with an apostrophe before it when a spreadsheet would take it for a formula."""
    return "'" + text if _FORMULA.search(text) else text


def cell(value: Any, *, zone: tzinfo = UTC) -> Cell:
    """A value as a cell: numbers stay numbers, also negative ones; times are ISO 8601 with the zone's offset."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    return inert(json.dumps(value, sort_keys=True, ensure_ascii=False))
