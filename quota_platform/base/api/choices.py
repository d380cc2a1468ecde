"""A field with a closed set of values, which a wrong one is answered with."""

from __future__ import annotations

from typing import Any, NoReturn

from rest_framework import serializers

_SHOWN = 50
"""Characters of a wrong value that are sent back."""


class NamedChoiceField(serializers.ChoiceField):
    """One of the choices; DRF's own says only that a value is none of them."""

    default_error_messages = {"invalid_choice": '"{input}" is not a valid choice. Choose one of: {choices}.'}

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        if key == "invalid_choice":
            kwargs["input"] = str(kwargs["input"])[:_SHOWN]
            kwargs["choices"] = ", ".join(str(value) for value in self.choices if value != "")
        super().fail(key, **kwargs)
