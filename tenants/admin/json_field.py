"""JSON typed by a person: whatever cannot be stored is refused at the field."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from unfold.widgets import UnfoldAdminTextareaWidget


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


class JsonField(forms.JSONField):
    """As Django's, but an empty box means the model's default, and what breaks a parser or a database is an error."""

    def __init__(self, **kwargs: Any) -> None:
        # Django's decoder takes NaN and Infinity, which databases do not.
        super().__init__(**{**kwargs, "decoder": None})

    def to_python(self, value: Any) -> Any:
        if self.disabled or not isinstance(value, str) or not value.strip():
            return super().to_python(value)
        try:
            parsed = json.loads(value, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise ValidationError("Write valid JSON.", code="invalid") from None
        if "\\u0000" in json.dumps(parsed):
            raise ValidationError("Leave NUL characters out.", code="invalid")
        return super().to_python(value)


JSON_FIELDS: dict[type[models.Field], dict[str, Any]] = {
    models.JSONField: {"form_class": JsonField, "widget": UnfoldAdminTextareaWidget({"rows": 2})}
}
"""``formfield_overrides`` of an admin page with such fields."""


class EmptyMeansDefault(forms.ModelForm):
    """A form whose empty JSON boxes take their model field's default; the columns hold no NULL."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name, field in self.fields.items():
            if isinstance(field, JsonField) and name in cleaned and cleaned[name] is None:
                cleaned[name] = self._meta.model._meta.get_field(name).get_default()
        return cleaned
