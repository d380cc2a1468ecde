"""JSON Lines: one object a row. For programs, so text stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from limiter.reports.selection import Selection


def write(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, chosen: Selection | None = None
) -> None:
    """One file."""
    zone = chosen.zone if chosen else UTC

    def plain(value: object) -> str:
        return value.astimezone(zone).isoformat() if isinstance(value, datetime) else str(value)

    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(dict(zip(columns, row, strict=True)), default=plain, ensure_ascii=False) + "\n")
