"""The platform's settings with one language more, as a translator would add it: by its catalogues alone.

It stands for a real one (Esperanto's code), and every text of it is the English one in brackets: what a page shows
without brackets is in no catalogue.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

CODE = "eo"
PLACE = "TESTS_PSEUDO_LOCALE"


def bracketed(text: str) -> str:
    return f"⟦{text}⟧"


def write(directory: Path) -> None:
    """Make its catalogues of all texts of the code."""
    from tests import catalogues

    messages = directory / CODE / "LC_MESSAGES"
    messages.mkdir(parents=True)
    catalogue = Catalog(locale=CODE)
    for text in catalogues.said():
        catalogue.add(text, bracketed(text) if isinstance(text, str) else tuple(map(bracketed, text)))
    with (messages / "django.mo").open("wb") as file:
        write_mo(file, catalogue)
    words = {code: _worded(words) for code, words in catalogues.browser(catalogues.SOURCE).items()}
    (directory / CODE / "browser.json").write_text(json.dumps(words))


def _worded(words: Any) -> Any:
    if isinstance(words, str):
        return bracketed(words)
    return {form: text if form == "by" else bracketed(text) for form, text in words.items()}


if os.environ.get(PLACE):
    from quota_platform import languages
    from quota_platform.settings import *  # noqa: F403

    LOCALE_PATHS = [*LOCALE_PATHS, Path(os.environ[PLACE])]  # noqa: F405
    LANGUAGES = [*LANGUAGES, *languages.found(Path(os.environ[PLACE]))]  # noqa: F405
