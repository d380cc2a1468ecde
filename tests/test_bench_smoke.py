"""The bench can be started: its report renders, and its parts import. What it measures is no test's business."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quota_platform.env import BASE_DIR
from tests.bench import report
from tests.bench.findings import Findings, Reach, Table

FOUND = Findings(
    tables=[Table("Allowed call", "Ten rounds.", ("Contender", "calls/s"), [["ours | all on", "4,800"]])],
    reaches=[
        Reach("throughput beside another", 0.35, 0.30, "x", next_goal=0.40),
        Reach("memory of the worker", 251.0, 250.0, "MB", most=True),
    ],
    notes=["nginx is not installed."],
)


def test_the_report_says_what_was_measured_and_how_far_it_reaches() -> None:
    text = report.render({"Date": "2026-11-01"}, [FOUND], command="python -m tests.bench")

    assert "| Date | 2026-11-01 |" in text
    assert "| throughput beside another | 0.35 x | ≥ 0.30 x, next ≥ 0.40 x | reached, the next goal not yet |" in text
    assert "| memory of the worker | 251 MB | ≤ 250 MB | not reached |" in text
    assert "## Allowed call\n\nTen rounds.\n\n| Contender | calls/s |\n| --- | ---: |" in text
    assert "| ours \\| all on | 4,800 |" in text
    assert "- nginx is not installed." in text


def test_the_report_replaces_only_what_stands_between_its_markers(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"# By hand\n{report.BEGIN}\nold\n{report.END}\nmore by hand\n")

    report.write(document, "new")

    assert document.read_text() == f"# By hand\n{report.BEGIN}\n\nnew\n{report.END}\nmore by hand\n"


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("# By hand\n")

    with pytest.raises(ValueError, match="markers"):
        report.write(document, "new")
    assert document.read_text() == "# By hand\n"


@pytest.mark.parametrize(
    "name", ["contenders.naive", "contenders.people", "contenders.rows", "audience", "stage", "__main__"]
)
def test_every_part_imports(name: str) -> None:
    assert importlib.import_module(f"tests.bench.{name}").__doc__


def test_the_contender_that_is_a_django_of_its_own_imports_in_its_own_process() -> None:
    code = "import tests.bench.contenders.stock as stock; assert stock.application"
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

    subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, env=environment, check=True, timeout=60)
