"""How texts are written in the reader's language, beside gettext."""

from __future__ import annotations

from django.utils.formats import number_format


def number(value: float | None, *, digits: int | None = None, grouped: bool = True) -> str:
    """With the separators of the language: ``1,234.5`` and ``1.234,5``."""
    if value is None:
        return ""
    if digits is None and isinstance(value, float):
        value = round(value, 2)
        value = int(value) if value.is_integer() else value
    return number_format(value, decimal_pos=digits, use_l10n=True, force_grouping=grouped)
