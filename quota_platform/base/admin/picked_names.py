"""A form field for a list of names that are picked by typing a part of one, from a list that a view of ours gives."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteMixin, get_select2_language


class NamesSelect(AutocompleteMixin, forms.SelectMultiple):
    """Django's widget for rows, for names: ``url`` gives them. One that is not in the list can be typed in full."""

    url = ""

    def __init__(self, attrs: Any = None) -> None:
        forms.SelectMultiple.__init__(self, attrs)
        self.i18n_name = get_select2_language()

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        attrs = forms.SelectMultiple.build_attrs(self, base_attrs, extra_attrs)
        return {
            **attrs,
            "class": " ".join(filter(None, (attrs.get("class"), "admin-autocomplete"))),
            "lang": self.i18n_name,
            "data-ajax--delay": 250,
            "data-ajax--type": "GET",
            "data-ajax--url": self.url,
            "data-allow-clear": "true",
            "data-placeholder": "",
            "data-tags": "true",
            "data-theme": "admin-autocomplete",
        }

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        """Those that are chosen; the view gives the others."""
        options = [
            self.create_option(name, each, each, True, number, attrs=attrs) for number, each in enumerate(value or [])
        ]
        return [(None, options, 0)]


class PickedNamesField(forms.Field):
    """A list of names. Set ``url`` before the form is shown."""

    widget = NamesSelect

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.required = False

    def to_python(self, value: Any) -> list[str]:
        return [name for each in value or [] if (name := str(each).strip())]
