"""A form field for a secret: typed, stored sealed, never shown again."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget


class SecretField(forms.CharField):
    """A secret that can be typed and is never shown again, not even in a form that failed."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminPasswordWidget({"autocomplete": "new-password", "data-keep": ""}, render_value=False)
        super().__init__(required=False, strip=False, max_length=4096, widget=widget, **kwargs)
