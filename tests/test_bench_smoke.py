"""The bench can be started: its report renders, and its parts import. Its figures are no test's business."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from quota_platform.env import BASE_DIR
from tests.bench import __main__ as bench
from tests.bench import hidden_limits, machine, report, sharing, side_by_side
from tests.bench.contenders import Contender
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.load import Load
from tests.bench.side_by_side import Round, Standing
from tests.patience import HANG_S

FOUND = Findings(
    tables=[Table("Allowed call", "Ten rounds.", ("Contender", "calls/s"), [["ours | all on", "4,800"]])],
    reaches=[
        Reach("throughput beside another", 0.35, 0.30, "x", next_goal=0.40),
        Reach("memory of the worker", 251.0, 250.0, "MB", most=True),
    ],
    notes=["nginx is not installed."],
)


ORDER = ["allowed", "refused", "exports"]


def document(path: Path, **sections: str) -> Path:
    """A document with these sections, written as the bench writes them."""
    path.write_text(f"# By hand\n{report.BEGIN}\n{report.END}\nmore by hand\n")
    for name, section in sections.items():
        report.put(path, name, section, order=ORDER)
    return path


def test_a_section_says_what_was_measured_where_and_how_far_it_reaches() -> None:
    text = report.render({"Date": "2026-11-01", "Python": "CPython 3.12.1, not optimized"}, FOUND)

    assert "<sub>Date: 2026-11-01; Python: CPython 3.12.1, not optimized</sub>" in text
    assert "| throughput beside another | 0.35 x | ≥ 0.30 x, next ≥ 0.40 x | reached, the next goal not yet |" in text
    assert "| memory of the worker | 251 MB | ≤ 250 MB | not reached |" in text
    assert "## Allowed call\n\nTen rounds.\n\n| Contender | calls/s |\n| --- | ---: |" in text
    assert "| ours \\| all on | 4,800 |" in text
    assert "Not measured: nginx is not installed." in text


def test_a_measurement_replaces_its_own_section_and_leaves_the_others(tmp_path: Path) -> None:
    path = document(tmp_path / "benchmarks.md", exports="old exports", allowed="old allowed")

    report.put(path, "allowed", "new allowed", order=ORDER)

    text = path.read_text()
    assert text.startswith(f"# By hand\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\nmore by hand\n")
    assert "old allowed" not in text
    assert text.index("new allowed") < text.index("old exports"), "in the order of the command line, not of the runs"


def test_a_retired_measurement_leaves_the_document(tmp_path: Path) -> None:
    path = document(tmp_path / "benchmarks.md", exports="exports in a format of old")

    report.put(path, "allowed", "allowed", order=["allowed"])

    assert "of old" not in path.read_text()


def test_a_bench_that_is_ended_leaves_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = document(tmp_path / "benchmarks.md")

    def ended(*_: object) -> Findings:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "EVERYTHING", {"allowed": lambda *_: FOUND, "exports": ended})
    monkeypatch.setattr(bench, "running", lambda names: contextlib.nullcontext())
    monkeypatch.setattr(bench, "_allow_many_sockets", lambda: None)
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--out", str(path), "--contenders", "gateway"])
    with pytest.raises(KeyboardInterrupt):
        bench.main()

    assert "<!-- measured: allowed -->\n\n## Allowed call" in path.read_text()


def test_a_document_without_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text("# By hand\n")

    with pytest.raises(ValueError, match="markers"):
        report.put(path, "allowed", "new", order=ORDER)
    assert path.read_text() == "# By hand\n"
    assert list(tmp_path.iterdir()) == [path], "no draft is left"


def rounds(*cpu_s: float) -> list[Round]:
    """Turns of a server that used so many processor seconds for a thousand calls."""
    return [Round(Load(Counter({200: 1000}), in_time=1000, seconds=1.0), each, 0.0, failed=0) for each in cpu_s]


def standing(name: str, *cpu_s: float) -> Standing:
    return Standing(cast(Contender, SimpleNamespace(name=name, label=name)), rounds(*cpu_s))


def test_contenders_are_judged_by_what_a_call_costs_in_one_and_the_same_round() -> None:
    standings = {"gateway": standing("gateway", 0.10, 0.30, 0.10), "nginx": standing("nginx", 0.02, 0.06, 0.03)}

    reach = side_by_side.ALLOWED_CALL.goals[0].reach(standings)

    assert reach is not None
    # A slow minute met both in the second round: 0.2 there as in the first.
    assert reach.measured == pytest.approx(0.2)
    assert standings["nginx"].row(standings["gateway"])[3].startswith(f"5.00 {TIMES} (3.33 to 5.00)")


def test_a_goal_beside_a_contender_that_is_not_here_is_not_judged() -> None:
    assert side_by_side.REFUSED_CALL.goals[0].reach({"gateway": standing("gateway", 0.1)}) is None


def test_shares_are_judged_by_blocks_that_followed_each_other() -> None:
    def pair(alone_us: float, shared_us: float) -> sharing.Pair:
        return sharing.Cost(alone_us, 2 * alone_us), sharing.Cost(shared_us, 2 * shared_us)

    # Slow minutes met three of five pairs, and one that began between its blocks a fourth.
    found = sharing.judged({"sliding log": [pair(20, 22), pair(60, 66), pair(80, 88), pair(50, 55), pair(20, 90)]})

    assert [reach.measured for reach in found.reaches] == pytest.approx([1.1, 1.1])
    assert found.tables[0].rows == [
        ["sliding log", "50.0 µs", "66.0 µs", f"1.10 {TIMES}", "100.0 µs", "132.0 µs", f"1.10 {TIMES}"]
    ]
    assert {sharing.in_order(0), sharing.in_order(1)} == {(0, 1), (1, 0)}


def test_the_facts_of_a_run_name_processor_build_and_store_and_no_path() -> None:
    facts = machine.facts()

    assert str(os.cpu_count()) in facts["Machine"]
    assert "optimized" in facts["Python"]
    assert facts["Store"].endswith("(the one that ships with the platform)")
    assert not any("/" in value.replace("nginx/", "") for value in facts.values())


@pytest.mark.parametrize(
    "name",
    [
        "contenders.naive",
        "contenders.people",
        "contenders.rows",
        "audience",
        "stage",
        "__main__",
        "tenants_at_scale",
        "scale.apart",
        "scale.callers",
        "scale.platform",
        "scale.readers",
        "scale.seed",
        "scale.tasks",
    ],
)
def test_every_part_imports(name: str) -> None:
    assert importlib.import_module(f"tests.bench.{name}").__doc__


def test_the_contender_that_is_a_django_of_its_own_imports_in_its_own_process() -> None:
    code = "import tests.bench.contenders.stock as stock; assert stock.application"
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

    subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, env=environment, check=True, timeout=HANG_S)


def test_the_bench_of_hidden_limits_scores_a_run() -> None:
    found = hidden_limits.score(hidden_limits.Job("fixed window of a minute", 60, says=True, workers=2, seed=1))
    assert found.used >= 0.95 and found.requests <= 1.05
