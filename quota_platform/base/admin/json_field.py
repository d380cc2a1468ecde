"""JSON typed by a person: whatever cannot be stored is refused at the field."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.fields import InvalidJSONInput
from unfold.widgets import UnfoldAdminTextareaWidget

from quota_platform.base import json_text
from quota_platform.base.admin.row_form import RowForm


def _parse(text: str) -> Any:
    """The value, None for an empty box; raises ``ValueError`` with what to do."""
    return json_text.read(text) if text.strip() else None


class JsonField(forms.JSONField):
    """As Django's, but an empty box means the model's default, and what breaks a parser or a database is an error."""

    def __init__(self, **kwargs: Any) -> None:
        # Django's decoder takes NaN and Infinity, which databases do not.
        super().__init__(**{**kwargs, "decoder": None})

    def to_python(self, value: Any) -> Any:
        if self.disabled or not isinstance(value, str):
            return super().to_python(value)
        try:
            parsed = _parse(value)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None
        return super().to_python(value if parsed is not None else "")

    def bound_data(self, data: Any, initial: Any) -> Any:
        """The text shown again in an invalid form; Django would parse it once more and fail."""
        return super().bound_data(data, initial) if self._is_sound(data) else InvalidJSONInput(data)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(initial, data) if self._is_sound(data) else True

    @staticmethod
    def _is_sound(data: Any) -> bool:
        if not isinstance(data, str):
            return True
        try:
            _parse(data)
        except ValueError:
            return False
        return True


JSON_FIELDS: dict[type[models.Field], dict[str, Any]] = {
    models.JSONField: {"form_class": JsonField, "widget": UnfoldAdminTextareaWidget({"rows": 2})}
}
"""``formfield_overrides`` of an admin page with such fields."""


class EmptyMeansDefault(RowForm):
    """A form whose empty JSON boxes take their model field's default; the columns hold no NULL."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name, field in self.fields.items():
            if isinstance(field, JsonField) and name in cleaned and cleaned[name] is None:
                cleaned[name] = self._meta.model._meta.get_field(name).get_default()
        return cleaned
