"""A form that was sent for a row that is not there any more: what the person had entered, for them to keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from quota_platform.base.admin.guard import lines as posted_lines
from quota_platform.base.admin.guard import sent
from quota_platform.base.admin.guard.seen import FIELD, Lines, SeenField, SeenRow, editable


@dataclass(frozen=True, slots=True)
class LostEntry:
    """One field. ``edited``: it came back as something else than the form had shown."""

    label: str
    value: str
    edited: bool


def entries(shown: SeenField, posted: Any) -> list[LostEntry]:
    """What came back of a form and the lines below; ``shown`` is that form with nothing in it. Secrets stay unsaid."""
    seen = SeenRow.read(posted.get(FIELD, ""))
    found = [_entry(shown.form[name], sent.as_posted(posted, shown.form[name]), seen, name) for name in _of(shown.form)]
    return [*found, *(entry for lines in shown.lines for entry in _below(lines, posted, seen))]


def _below(lines: Lines, posted: Any, seen: SeenRow) -> Iterator[LostEntry]:
    blank = lines.formset.empty_form
    key, start = lines.formset.model._meta.pk.name, f"{blank.prefix}-"
    for number, line in enumerate(posted_lines.of(posted, lines.formset.prefix), 1):
        row_id = line.get(key, [""])[0]
        for name in lines.fields:
            values = {each: line.get(each.removeprefix(start), []) for each in sent.names_of(blank[name])}
            part = lines.key(row_id, name)
            yield _entry(blank[name], values, seen, part, label=f"{lines.label} {number}: {blank[name].label}")


def _entry(bound: Any, values: sent.Sent, seen: SeenRow, part: str, *, label: str = "") -> LostEntry:
    edited = sent.mark_of(values.values()) != seen.parts.get(part)
    return LostEntry(label or str(bound.label), sent.in_words(bound, values), edited)


def _of(form: Any) -> list[str]:
    return [name for name in editable(form) if not form[name].is_hidden]
