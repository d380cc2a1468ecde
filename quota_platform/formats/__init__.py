"""How dates and times are written on pages, in every language: named by FORMAT_MODULE_PATH in the settings."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from django.conf import settings
from django.utils.translation import to_locale


def cover(languages: Iterable[str]) -> None:
    """Django imports ``<here>.<locale>.formats``, or else takes its own: for each language that is the module here."""
    for language in languages:
        sys.modules[f"{__name__}.{to_locale(language)}"] = sys.modules[__name__]


cover(code for code, _ in settings.LANGUAGES)
