"""The formats: read back by other libraries, with what a spreadsheet might run made inert."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import openpyxl
import pytest
from pypdf import PdfReader

from limiter.models import Export, MultiplierChange
from limiter.reports import build, selection, sources
from limiter.reports.formats import csv_gz, jsonl, writer, xlsx
from limiter.reports.heads import HEADS
from limiter.reports.safety import cell
from tests.limiter.reports.given import NOON, event, export, usage

PAYLOADS = [
    *("=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://x")'),
    *('"\r=1', "a\n=1", 'a\r"=1', "\uff1d1+1"),
]
PLAIN = ["a=1", "a\nb-c", "1-2", "Müller & Söhne", '"quoted"']


def test_a_formula_is_text_in_a_csv_and_negative_numbers_stay_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    csv_gz.write(path, ["text", "number"], [(payload, -5) for payload in PAYLOADS])
    with gzip.open(path, "rt", newline="") as file:
        read = list(csv.reader(file))
    assert read == [["text", "number"], *(["'" + payload, "-5"] for payload in PAYLOADS)]


@pytest.mark.parametrize("text", PLAIN)
def test_text_that_is_no_formula_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


def test_a_formula_is_text_in_a_workbook_and_negative_numbers_stay_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    xlsx.write(path, ["text", "number"], [(payload, -5) for payload in [*PAYLOADS, "http://example.com", "12"]])
    sheet = openpyxl.load_workbook(path).worksheets[0]
    texts, numbers = zip(*list(sheet.iter_rows(min_row=2)), strict=True)
    assert {found.data_type for found in texts} == {"s"} and {found.value for found in numbers} == {-5}
    assert all(found.value.startswith("'") for found in texts[: len(PAYLOADS)])
    assert all(found.hyperlink is None for found in texts)


def test_a_workbook_begins_a_new_sheet_with_its_header_when_one_is_full(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    xlsx.write(path, ["n"], [(n,) for n in range(7)], sheet_rows=3)
    sheets = [[row[0] for row in sheet.values] for sheet in openpyxl.load_workbook(path)]
    assert sheets == [["n", 0, 1, 2], ["n", 3, 4, 5], ["n", 6]]


def test_a_full_sheet_is_not_followed_by_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    xlsx.write(path, ["n"], [(n,) for n in range(3)], sheet_rows=3)
    assert len(openpyxl.load_workbook(path).worksheets) == 1


def test_a_workbook_can_be_filtered_and_its_heads_stay_in_view(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    xlsx.write(path, ["tenant_id", "retry_after_ms"], [("acme", 1200.5), ("globex", 3.0)])
    sheet = openpyxl.load_workbook(path).worksheets[0]
    assert [found.value for found in sheet[1]] == ["Tenant", "Wait (ms)"]
    assert (sheet.auto_filter.ref, sheet.freeze_panes) == ("A1:B3", "A2")


def test_times_of_a_workbook_are_dates_in_utc_that_a_spreadsheet_sorts_and_filters(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    moment = datetime(2030, 5, 2, 14, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))
    xlsx.write(path, ["at"], [(moment,)])
    found = openpyxl.load_workbook(path).worksheets[0]["A2"]
    assert found.is_date and found.value.replace(tzinfo=UTC) == moment


@pytest.mark.parametrize("kind", Export.Kind)
def test_each_column_of_an_export_has_a_head_for_people_and_no_two_the_same(kind: str) -> None:
    columns = sources.COLUMNS[kind]
    assert [name for name in columns if name not in HEADS] == []
    assert len({HEADS[name] for name in columns}) == len(columns)


def test_a_text_longer_than_a_cell_says_that_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    xlsx.write(path, ["text"], [("x" * 40_000,)])
    assert str(openpyxl.load_workbook(path).worksheets[0]["A2"].value).endswith("(cut: longer than a cell)")


def test_json_lines_keep_text_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    jsonl.write(path, ["text", "at"], [("=1\n2", NOON)])
    assert json.loads(path.read_text()) == {"text": "=1\n2", "at": "2030-05-02T12:00:00+00:00"}


def test_each_format_has_a_module_of_its_name_that_writes_it() -> None:
    assert all(callable(writer(each)) for each in Export.Format)


@pytest.mark.parametrize(("value", "shown"), [(True, "yes"), (None, None), (-1.5, -1.5), ({"a": 1}, '{"a": 1}')])
def test_cells_of_an_export_are_plain_values(value: object, shown: object) -> None:
    assert cell(value) == shown


@pytest.mark.django_db
def test_all_formats_hold_the_same_number_of_events(tmp_path: Path) -> None:
    for number in range(11):
        event(number)
    chosen = selection.of(export())
    for format in ("csv.gz", "jsonl", "xlsx"):
        path = tmp_path / f"a.{format}"
        assert build.write(path, chosen, format=format, rows=sources.rows(chosen, page=2)) == 11
    with gzip.open(tmp_path / "a.csv.gz", "rt", newline="") as file:
        decisions = [row["decision_id"] for row in csv.DictReader(file)]
    lines = [json.loads(line)["decision_id"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").worksheets[0]
    cells = [row[7] for row in list(sheet.values)[1:]]
    assert decisions == lines == cells == [f"d{number}" for number in range(11)]


@pytest.mark.django_db
def test_the_pdf_opens_and_contains_the_figures(tmp_path: Path) -> None:
    usage("acme", allowed=12_345, refused=678)
    usage("globex", allowed=1_000, refused=0)
    event(1, count=678)
    for number, (before, after) in enumerate([(1.0, 0.62), (0.62, 0.8)]):
        MultiplierChange.objects.create(
            stream_id=f"m{number}", at=NOON, tenant_id="acme", before=before, after=after, p95_ms=1400, samples=100,
            threshold_ms=800,
        )  # fmt: skip
    chosen = selection.of(export(kind=Export.Kind.SUMMARY, format=Export.Format.PDF))
    assert build.write(tmp_path / "a.pdf", chosen, format="pdf", rows=sources.rows(chosen)) == 2
    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "a.pdf").pages)
    for figure in ("14,023", "13,345", "678", "12,345 allowed", "globex", "Multipliers", "62"):
        assert figure in text


@pytest.mark.django_db
def test_a_pdf_of_nothing_says_so(tmp_path: Path) -> None:
    chosen = selection.of(export(kind=Export.Kind.SUMMARY, format=Export.Format.PDF))
    build.write(tmp_path / "a.pdf", chosen, format="pdf", rows=sources.rows(chosen))
    assert "No calls in this time" in "".join(page.extract_text() for page in PdfReader(tmp_path / "a.pdf").pages)
