"""Writes the measurements into docs/benchmarks.md, between two markers; the text around them is written by hand.

Each measurement has a section of its own there with the facts of its run, and is written when it is done: a run that is
ended leaves its part, and a run of one measurement leaves the others as they are.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.bench.findings import Findings, Reach, Table

BEGIN = "<!-- measured: begin (written by python -m tests.bench; do not edit) -->"
END = "<!-- measured: end -->"
_SECTION = re.compile(r"^<!-- measured: (\w+) -->$", re.MULTILINE)


def render(facts: Mapping[str, str], found: Findings) -> str:
    """One measurement's section: its tables, its goals, missing parts, and the run it is from."""
    parts = [part for table in found.tables for part in (f"## {table.title}", table.how, _table(table))]
    if found.reaches:
        parts.append(_reaches(found.reaches))
    parts += [f"Not measured: {note}" for note in found.notes]
    parts.append("<sub>" + "; ".join(f"{name}: {value}" for name, value in facts.items()) + "</sub>")
    return "\n\n".join(parts)


def put(path: Path, name: str, section: str, *, order: Sequence[str]) -> None:
    """Replace this measurement's section; those that are not in ``order`` are no longer measured and go.

    Raises ValueError when the file has no markers.
    """
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path} does not have the markers between which the figures go")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    sections = {**_sections(old), name: section}
    generated = [f"<!-- measured: {each} -->\n\n{sections[each]}" for each in order if each in sections]
    _replace(path, before + "\n\n".join([BEGIN, *generated, END]) + after)


def _sections(generated: str) -> dict[str, str]:
    _, *parts = _SECTION.split(generated)
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def _replace(path: Path, text: str) -> None:
    """Whole or not at all: a bench that is killed meanwhile leaves the file as it was."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(draft).chmod(path.stat().st_mode)
    os.replace(draft, path)


def _reaches(reaches: Sequence[Reach]) -> str:
    rows = [(reach.what, _value(reach.measured, reach.unit), _goals(reach), reach.verdict) for reach in reaches]
    return _markdown(("Goal for", "Measured", "Goal", "Verdict"), rows, right=False)


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
