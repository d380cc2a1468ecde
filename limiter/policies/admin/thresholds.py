"""Thresholds typed by a person: ``80, 95, 100``."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from limiter.policies.models.policy import alert_fault

_BETWEEN = re.compile(r"[\s,;]+")


class ThresholdsField(forms.CharField):
    """Percentages with commas between them, as a list of numbers; an empty box is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "max_length": 100, "widget": UnfoldAdminTextInputWidget(), **kwargs})

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """The list; raises ValidationError with what to do."""
        if isinstance(value, list):
            return value
        parts = [
            part.removesuffix("%")
            for part in _BETWEEN.split((super().to_python(value) or "").replace(" %", "%"))
            if part
        ]
        if not all(part.isascii() and part.isdecimal() and len(part) < 4 for part in parts):
            raise ValidationError(_("Write percentages with commas between them, for instance 80, 95, 100."))
        return [int(part) for part in parts]

    def clean(self, value: Any) -> Any:
        found = self.to_python(value)
        if fault := alert_fault(found):
            raise ValidationError(fault)
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data or "") != (initial or []))
        except ValidationError:
            return True
