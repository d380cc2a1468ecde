"""Excel workbooks: written row by row in constant memory, a new sheet when one is full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import xlsxwriter

from limiter.reports.safety import Cell, cell
from limiter.reports.selection import Selection

SHEET_ROWS = 1_000_000
"""Excel holds 1,048,576 rows on a sheet."""
_LONGEST = 32_767
_CUT = " … (cut: longer than a cell)"


def write(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    chosen: Selection | None = None,
    sheet_rows: int = SHEET_ROWS,
) -> None:
    """One workbook. Nothing in it is a formula or a link."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
        "tmpdir": str(path.parent),
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        bold = book.add_format({"bold": True})
        sheet, line = _sheet(book, columns, bold), 0
        for row in rows:
            if line == sheet_rows:
                sheet, line = _sheet(book, columns, bold), 0
            line += 1
            _write_row(sheet, line, row)


def _sheet(book: Any, columns: Sequence[str], bold: Any) -> Any:
    sheet = book.add_worksheet(f"Rows {len(book.worksheets()) + 1}")
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(columns) - 1, 18)
    sheet.write_row(0, 0, columns, bold)
    return sheet


def _write_row(sheet: Any, line: int, row: Sequence[Any]) -> None:
    for column, value in enumerate(row):
        shown: Cell = cell(value)
        if isinstance(shown, str):
            sheet.write_string(line, column, shown if len(shown) <= _LONGEST else shown[: _LONGEST - 30] + _CUT)
        elif shown is not None:
            sheet.write_number(line, column, shown)
