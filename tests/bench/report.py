"""Writes what was measured into docs/benchmarks.md, between two markers; what stands around them is written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.bench.findings import Findings, Reach, Table

BEGIN = "<!-- measured: begin (written by python -m tests.bench; do not edit) -->"
END = "<!-- measured: end -->"


def render(facts: Mapping[str, str], findings: Iterable[Findings], *, command: str) -> str:
    """The generated part: facts, goals, tables, notes."""
    findings = list(findings)
    reaches = [reach for found in findings for reach in found.reaches]
    parts = [f"Command: `{command}`", _facts(facts)]
    if reaches:
        parts += ["## Goals", _reaches(reaches)]
    for found in findings:
        parts += [part for table in found.tables for part in (f"## {table.title}", table.how, _table(table))]
    notes = [f"- {note}" for found in findings for note in found.notes]
    if notes:
        parts += ["## Not measured in this run", "\n".join(notes)]
    return "\n\n".join(parts) + "\n"


def write(path: Path, generated: str) -> None:
    """Replace what stands between the markers; raises ValueError when the file has none."""
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} does not have the markers between which the figures go")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{generated}\n{END}{after}")


def _facts(facts: Mapping[str, str]) -> str:
    return _markdown(("", ""), [(name, value) for name, value in facts.items()], right=False)


def _reaches(reaches: Sequence[Reach]) -> str:
    rows = [(reach.what, _value(reach.measured, reach.unit), _goals(reach), reach.verdict) for reach in reaches]
    return _markdown(("What", "Measured", "Goal", "Verdict"), rows, right=False)


def _goals(reach: Reach) -> str:
    sign = "≤" if reach.most else "≥"
    goals = [goal for goal in (reach.goal, reach.next_goal) if goal is not None]
    return ", next ".join(f"{sign} {_value(goal, reach.unit)}" for goal in goals)


def _value(value: float, unit: str) -> str:
    digits = 0 if value >= 100 or value == int(value) else 2 if value < 10 else 1
    return f"{value:,.{digits}f} {unit}".strip()


def _table(table: Table) -> str:
    return _markdown(table.columns, table.rows, right=True)


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: bool) -> str:
    rule = ["---"] + ["---:" if right else "---"] * (len(columns) - 1)
    lines = [columns, rule, *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
