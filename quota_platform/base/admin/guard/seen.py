"""The marks of everything a form shows, which identify the version of the row that its reader has seen."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model
from django.forms.boundfield import BoundField

from quota_platform.base import versions
from quota_platform.base.admin.guard import sent

FIELD = "_seen"
"""Name of the hidden control of a form with fields."""
ROW = "_row"
"""Name of the hidden control of a question about whole rows, or of a button."""
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SeenRow:
    """Part of a form -> mark of its values, and when they were shown (epoch seconds)."""

    parts: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0

    def text(self) -> str:
        return json.dumps({"format": _FORMAT, "at": self.at, "parts": self.parts}, separators=(",", ":"))

    @staticmethod
    def read(text: str) -> SeenRow:
        """What a form brought back; one that brought nothing that can be read has seen nothing."""
        try:
            found = json.loads(text)
            parts = {str(name): str(value) for name, value in found["parts"].items()}
            return SeenRow(parts, float(found["at"])) if found["format"] == _FORMAT else SeenRow()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return SeenRow()


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a form shows: a field, a line below it, or a column that can be read and not edited."""

    label: str
    mark: str
    bound: BoundField | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one form set below a form. ``fields``: what can be edited of a line that is there."""

    formset: Any
    label: str
    fields: tuple[str, ...]

    def key(self, row_id: Any, name: str = "") -> str:
        return f"{self.formset.prefix}:{row_id}" + (f":{name}" if name else "")

    def parts(self) -> Iterator[tuple[str, Part]]:
        for form in self.formset.initial_forms:
            row = form.instance
            label = f"{self.label} {getattr(row, 'name', '') or row}"
            yield self.key(row.pk), Part(label, "there")
            for name in self.fields:
                yield self.key(row.pk, name), _of(form[name], label=f"{label}: {form[name].label}")


@dataclass(frozen=True, slots=True)
class SeenField:
    """A row's form with nothing typed in it, and the lines below."""

    form: Any
    lines: tuple[Lines, ...]
    row: Model
    bookkeeping: Collection[str]

    def parts(self) -> dict[str, Part]:
        found = {name: _of(self.form[name], label=str(self.form[name].label)) for name in editable(self.form)}
        for lines in self.lines:
            found.update(lines.parts())
        return {**found, **dict(self._unedited())}

    def _unedited(self) -> Iterator[tuple[str, Part]]:
        """Columns that are in no field: they may still influence the decision to save."""
        edited = editable(self.form)
        for column in self.row._meta.concrete_fields:
            if column.name not in edited and column.name not in self.bookkeeping and not column.primary_key:
                value = getattr(self.row, column.attname)
                yield f".{column.name}", Part(str(column.verbose_name), versions.mark(value)[:12])

    def seen(self) -> SeenRow:
        return SeenRow({name: part.mark for name, part in self.parts().items()}, time.time())


def editable(form: Any) -> list[str]:
    """The fields that a person can send something for."""
    return [name for name, control in form.fields.items() if not control.disabled]


def _of(bound: BoundField, *, label: str) -> Part:
    return Part(label, sent.mark_of(sent.as_shown(bound).values()), bound)
