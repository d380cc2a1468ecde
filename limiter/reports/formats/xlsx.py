"""Excel workbooks: written row by row in constant memory, a new sheet when one is full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import xlsxwriter

from limiter.reports.heads import TIMES, head
from limiter.reports.local_time import offset
from limiter.reports.safety import cell
from limiter.reports.selection import Selection
from quota_platform.base.time_zones import UTC_NAME

SHEET_ROWS = 1_000_000
"""Excel holds 1,048,576 rows on a sheet."""
_LONGEST = 32_767
_CUT = " … (cut: longer than a cell)"
_LOOKS: dict[str, dict[str, Any]] = {
    "head": {"bold": True, "bottom": 1},
    "time": {"num_format": "yyyy-mm-dd hh:mm:ss.000", "align": "left"},
    "whole": {"num_format": "#,##0"},
    "fraction": {"num_format": "#,##0.0##"},
}
_WIDTH, _ARROW, _OFFSET = 12, 4, 7
"""Of a column, in characters, the room for the filter's button beside a head, and that for the offset of a time."""
_WIDTHS = {"at": 24, "start": 24, "first_at": 24, "decision_id": 34, "request_id": 34, "payload": 60}
_WIDTHS |= dict.fromkeys(("tenant_id", "action_id", "policy_name", "limit_name"), 22)


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
        looks = _Looks(book, chosen.zone if chosen else UTC)
        zone_name = chosen.time_zone if chosen else UTC_NAME
        sheet, line = _sheet(book, columns, looks, zone_name), 0
        for row in rows:
            if line == sheet_rows:
                _end(sheet, columns, line)
                sheet, line = _sheet(book, columns, looks, zone_name), 0
            line += 1
            _write_row(sheet, line, row, looks)
        _end(sheet, columns, line)


class _Looks:
    """The formats of cells. One of times shows the offset of its zone; in UTC the head is enough."""

    def __init__(self, book: Any, zone: tzinfo) -> None:
        self._book, self.zone = book, zone
        self.named = {name: book.add_format(look) for name, look in _LOOKS.items()}

    def of_time(self, local: datetime) -> Any:
        """Of a time in the zone: a spreadsheet's dates have none, so the offset stands in the cell's format."""
        if self.zone is UTC:
            return self.named["time"]
        shown = offset(local)
        if shown not in self.named:
            look = _LOOKS["time"]
            self.named[shown] = self._book.add_format({**look, "num_format": f'{look["num_format"]} "{shown}"'})
        return self.named[shown]


def _sheet(book: Any, columns: Sequence[str], looks: _Looks, zone_name: str) -> Any:
    sheet = book.add_worksheet(f"Rows {len(book.worksheets()) + 1}")
    sheet.freeze_panes(1, 0)
    for number, name in enumerate(columns):
        shown = head(name, zone=zone_name)
        least = _WIDTHS.get(name, _WIDTH) + (_OFFSET if looks.zone is not UTC and name in TIMES else 0)
        sheet.set_column(number, number, max(len(shown) + _ARROW, least))
        sheet.write_string(0, number, shown, looks.named["head"])
    return sheet


def _end(sheet: Any, columns: Sequence[str], line: int) -> None:
    """A full sheet, or the last one, is filtered by all of its rows."""
    sheet.autofilter(0, 0, line, len(columns) - 1)


def _write_row(sheet: Any, line: int, row: Sequence[Any], looks: _Looks) -> None:
    for column, value in enumerate(row):
        if isinstance(value, datetime):
            local = value.astimezone(looks.zone)
            sheet.write_datetime(line, column, local.replace(tzinfo=None), looks.of_time(local))
            continue
        shown = cell(value)
        if isinstance(shown, str):
            sheet.write_string(line, column, shown if len(shown) <= _LONGEST else shown[: _LONGEST - 30] + _CUT)
        elif shown is not None:
            sheet.write_number(line, column, shown, looks.named["whole" if isinstance(shown, int) else "fraction"])
