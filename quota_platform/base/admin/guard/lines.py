"""The lines below a form that was stale: those that are there now, with what the person had typed into them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from quota_platform.base.admin.guard import sent
from quota_platform.base.admin.guard.seen import Lines, SeenRow

_MOST = 1_000
Line = dict[str, list[str]]
"""What a line sends, by the names of its controls without the line's prefix."""


def put_together(data: Any, lines: Lines, seen: SeenRow) -> None:
    """Write the lines into ``data``, a mutable QueryDict: theirs as they are now, one's own as they were typed.

    A line that somebody deleted comes back, as a new one, only if it had been edited here.
    """
    formset = lines.formset
    key = formset.model._meta.pk.name
    posted = list(of(data, formset.prefix))
    mine = {line[key][0]: line for line in posted if line.get(key, [""])[0]}
    there = [_line(form, mine.pop(str(form.instance.pk), None), lines, seen) for form in formset.initial_forms]
    again = [{**line, key: [""]} for row_id, line in mine.items() if _is_edited(row_id, line, lines, seen)]
    new = [line for line in posted if not line.get(key, [""])[0]]
    _write(data, formset.prefix, [*there, *again, *new], initial=len(there))


def of(data: Any, prefix: str) -> Iterator[Line]:
    """The lines that were posted, those that are new among them."""
    total = data.get(f"{prefix}-TOTAL_FORMS", "")
    for number in range(min(int(total), _MOST) if total.isascii() and total.isdigit() and len(total) < 5 else 0):
        start = f"{prefix}-{number}-"
        yield {name.removeprefix(start): data.getlist(name) for name in data if name.startswith(start)}


def _line(form: Any, mine: Line | None, lines: Lines, seen: SeenRow) -> Line:
    start = f"{form.prefix}-"
    shown: Line = {}
    for name in form.fields:
        if name != "DELETE" and (name in lines.fields or form.fields[name].widget.is_hidden):
            shown |= {each.removeprefix(start): values for each, values in sent.as_shown(form[name]).items()}
    if mine is None:
        return shown
    kept = dict(mine)
    for name in lines.fields:
        controls = [each.removeprefix(start) for each in sent.names_of(form[name])]
        if sent.mark_of(mine.get(each, []) for each in controls) == seen.parts.get(lines.key(form.instance.pk, name)):
            kept |= {each: shown[each] for each in controls}
    return kept


def _is_edited(row_id: str, line: Line, lines: Lines, seen: SeenRow) -> bool:
    if "DELETE" in line:
        return False
    blank = lines.formset.empty_form
    start = f"{blank.prefix}-"
    for name in lines.fields:
        controls = [each.removeprefix(start) for each in sent.names_of(blank[name])]
        if sent.mark_of(line.get(each, []) for each in controls) != seen.parts.get(lines.key(row_id, name)):
            return True
    return False


def _write(data: Any, prefix: str, wanted: list[Line], *, initial: int) -> None:
    for name in [name for name in data if re.match(rf"{re.escape(prefix)}-\d+-", name)]:
        del data[name]
    data[f"{prefix}-TOTAL_FORMS"], data[f"{prefix}-INITIAL_FORMS"] = str(len(wanted)), str(initial)
    for number, line in enumerate(wanted):
        for name, values in line.items():
            data.setlist(f"{prefix}-{number}-{name}", values)
