"""The formats of exports, each a module of its name (``csv.gz``: ``csv_gz``) with a function ``write``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from limiter.reports.selection import Selection


class Writer(Protocol):
    """Writes one file. A table is its columns and rows; a document may look up more of the selection (``chosen``)."""

    def __call__(
        self, path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, chosen: Selection
    ) -> None: ...


def writer(format: str) -> Writer:
    """For one of :class:`limiter.reports.models.Export.Format`."""
    return cast(Writer, import_module(f"{__name__}.{format.replace('.', '_')}").write)
