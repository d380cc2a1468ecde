"""The words of a page's scripts, in the language of the moment: ``locale/<language>/browser.json``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import translation

from dashboard import figures

Words = dict[str, Any]
"""Code -> a text, or its plural forms with ``by``, the parameter that they go by."""


def words() -> Words:
    """All words of a page's scripts. Labels and notes of figures are declared with the figures."""
    return {**_browser(translation.get_language() or settings.LANGUAGE_CODE), **figures.words()}


@cache
def _browser(language: str) -> Words:
    places = (Path(path) / translation.to_locale(language) / "browser.json" for path in settings.LOCALE_PATHS)
    read: Words = json.loads(next(file for file in places if file.exists()).read_text())
    return read
