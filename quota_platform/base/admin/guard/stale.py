"""A form sent for a row that has changed: the changes, their author, and the form with both people's values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.utils.translation import gettext as _

from quota_platform.base import records
from quota_platform.base.admin.guard import sent
from quota_platform.base.admin.guard.lines import put_together
from quota_platform.base.admin.guard.seen import FIELD, Part, SeenField, SeenRow
from quota_platform.base.kept import in_words

_MAX_EDITS = 5


@dataclass(frozen=True, slots=True)
class StaleForm:
    """One part that somebody changed meanwhile. ``mine`` is what the person had entered there, if they had."""

    label: str
    theirs: str
    mine: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """Who saved the row, when and why."""

    who: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Stale:
    """What a refused person is shown, and the data with which their form is shown again."""

    changes: tuple[StaleForm, ...]
    edits: tuple[Edit, ...]
    data: Any
    seen: SeenRow

    @property
    def has_clash(self) -> bool:
        return any(change.mine for change in self.changes)


def compare(shown: SeenField, posted: Any) -> Stale | None:
    """None when the row is still the one that the form was made from."""
    seen, parts = SeenRow.read(posted.get(FIELD, "")), shown.parts()
    changed = {name: part for name, part in parts.items() if seen.parts.get(name) != part.mark}
    gone = [name for name in seen.parts if name not in parts and _is_line(name, shown)]
    if not changed and not gone:
        return None
    data = posted.copy()
    changes = [_merge(name, part, data, seen) for name, part in changed.items()]
    changes += [
        StaleForm(_("A {line}").format(line=lines.label), _("deleted"))
        for name in gone
        for lines in shown.lines
        if _of(name, lines)
    ]
    for lines in shown.lines:
        put_together(data, lines, seen)
    return Stale(tuple(filter(None, changes)), tuple(_edits(shown.row, seen.at)), data, shown.seen())


def _of(name: str, lines: Any) -> bool:
    return name.startswith(f"{lines.formset.prefix}:") and name.count(":") == 1


def _is_line(name: str, shown: SeenField) -> bool:
    return any(_of(name, lines) for lines in shown.lines)


def _merge(name: str, part: Part, data: Any, seen: SeenRow) -> StaleForm | None:
    """The message for a changed part; a field that the person had not touched now shows the other's value."""
    if part.bound is None:
        return StaleForm(part.label, _("changed") if name.startswith(".") else _("added"))
    if ":" in name:
        # A line's field; one of a new line is shown with the line.
        return (
            StaleForm(part.label, sent.in_words(part.bound, sent.as_shown(part.bound))) if name in seen.parts else None
        )
    theirs, mine = sent.as_shown(part.bound), sent.as_posted(data, part.bound)
    if sent.mark_of(mine.values()) == seen.parts.get(name):
        for control, values in theirs.items():
            data.setlist(control, values)
        return StaleForm(part.label, sent.in_words(part.bound, theirs))
    if sent.mark_of(mine.values()) == part.mark:
        return StaleForm(part.label, sent.in_words(part.bound, theirs)) if seen.parts else None
    return StaleForm(part.label, sent.in_words(part.bound, theirs), sent.in_words(part.bound, mine))


def _edits(row: Model, since: float) -> Iterator[Edit]:
    """The newest records of the row: those since the form was made, at least the last one."""
    found = _recorded(row)
    for place, edit in enumerate(found):
        if place == 0 or edit.at.timestamp() >= since:
            yield edit


def _recorded(row: Any) -> list[Edit]:
    if hasattr(row, "history"):
        newest = row.history.select_related("history_user").order_by("-history_id")[:_MAX_EDITS]
        return [Edit(records.editor(each), each.history_date, in_words(each.history_change_reason)) for each in newest]
    about = ContentType.objects.get_for_model(row)
    logged = LogEntry.objects.filter(content_type=about, object_id=str(row.pk)).select_related("user")
    return [Edit(str(entry.user), entry.action_time.astimezone(UTC), "") for entry in logged[:_MAX_EDITS]]
