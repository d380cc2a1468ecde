"""What a browser sends of a form's field, as it was shown or as it came back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.forms.boundfield import BoundField
from django.forms.widgets import CheckboxInput, ChoiceWidget, MultiWidget
from django.utils.translation import gettext

from quota_platform.base.admin.autocomplete import is_row_id
from quota_platform.base.versions import mark

Sent = dict[str, list[str]]
"""Name of a control -> its values, none for a box that is not ticked."""


def as_shown(bound: BoundField) -> Sent:
    """What a browser sends of the field when nobody touches it."""
    widget, value, name = _bare(bound), bound.value(), bound.html_name
    if isinstance(widget, CheckboxInput):
        return {name: ["on"] if widget.check_test(value) else []}
    if isinstance(widget, ChoiceWidget):
        return {name: [str(each) for each in widget.format_value(value)]}
    if isinstance(widget, MultiWidget):
        parts = widget.get_context(name, value, {})["widget"]["subwidgets"]
        return {part["name"]: _text(part["value"]) for part in parts}
    return {name: _text(widget.format_value(value))}


def names_of(bound: BoundField) -> list[str]:
    """The names of the field's controls."""
    widget = _bare(bound)
    if isinstance(widget, MultiWidget):
        return [f"{bound.html_name}_{number}" for number in range(len(widget.widgets))]
    return [bound.html_name]


def as_posted(data: Mapping[str, Any], bound: BoundField) -> Sent:
    """What came back of the field."""
    found: Any = data
    sent = {name: found.getlist(name) for name in names_of(bound)}
    return {name: ["on"] for name, values in sent.items() if values} if _is_box(bound) else sent


def mark_of(values: Iterable[Iterable[str]]) -> str:
    """The mark of the sent values. Line ends, blanks around it, empty values and the order of choices say nothing."""
    plain = [sorted(text for each in one if (text := each.replace("\r\n", "\n").strip())) for one in values]
    return mark([one for one in plain if one])[:12]


def in_words(bound: BoundField, sent: Sent) -> str:
    """The values for a person to read; never those of a secret."""
    if isinstance(_bare(bound), forms.PasswordInput):
        return gettext("(not shown)")
    values = [value for each in sent.values() for value in each if value != ""]
    if _is_box(bound):
        return gettext("yes") if values else gettext("no")
    return ", ".join(_labels(bound.field, values)) or gettext("(empty)")


def _labels(field: Any, values: list[str]) -> list[str]:
    if isinstance(field, forms.ModelChoiceField):
        rows: Any = field.queryset
        by_id = {str(row.pk): str(row) for row in rows.filter(pk__in=filter(is_row_id, values))}
    else:
        flat = (each for each in getattr(field, "choices", ()) if not isinstance(each[1], list))
        by_id = {str(value): str(label) for value, label in flat}
    return [by_id.get(value, value) for value in values]


def _is_box(bound: BoundField) -> bool:
    return isinstance(_bare(bound), CheckboxInput)


def _bare(bound: BoundField) -> Any:
    widget = bound.field.widget
    return widget.widget if isinstance(widget, RelatedFieldWidgetWrapper) else widget


def _text(value: Any) -> list[str]:
    return [] if value is None else [str(value)]
