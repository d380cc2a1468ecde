"""CSV: streamed line by line, or compressed into a file."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from limiter.reports.safety import cell
from limiter.reports.selection import Selection

_LINES = 500


def chunks(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, zone: tzinfo = UTC) -> Iterator[str]:
    """The header and the rows as text, some hundred lines at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow([cell(value, zone=zone) for value in row])
        if number % _LINES == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def write(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, chosen: Selection | None = None
) -> None:
    """One compressed file, the same bytes for the same rows: no time and no name inside."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=5, fileobj=raw, mtime=0) as file:
        for text in chunks(columns, rows, zone=chosen.zone if chosen else UTC):
            file.write(text.encode())
