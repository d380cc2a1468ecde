"""The catalogues under ``locale/``: the texts of the code, their translations, and bringing both together.

``python -m tests.catalogues`` writes new texts of the code into every language's ``django.po``, takes out those that
are said no more, and compiles them.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import django
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from quota_platform.env import BASE_DIR

LOCALE = BASE_DIR / "locale"
APPS = ("dashboard", "limiter", "quota_platform", "tenants")
SOURCE = "en"
DOMAINS = ("django", "djangojs")
LANGUAGES = sorted(path.parent.name for path in LOCALE.glob("*/browser.json") if path.parent.name != SOURCE)
KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "kept_text": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
PLACES = re.compile(r"%\((\w+)\)[sd]|\{(\w*)(?:[|:][^{}]*)?\}")

OF_UNFOLD = (
    *("Add row", "All applications", "Apply Filters", "Cancel", "Dark", "Default", "Light", "System", "Reset filters"),
    *(
        "More actions",
        "No results found",
        "No results matching your query",
        "Search apps and models...",
        "Type to search",
    ),
    *("Return to site", "Select all rows", "Toggle password visibility", "Welcome back to", "Loading more results..."),
    *("Recent searches", "No recent searches", "Reset to default", "This item will be deleted.", "Next", "Previous"),
    *("Expand row", "Go back", "Run", "False", "True", "General"),
    *("Click to cancel", "Select value", "Select action", "Select action to run", "Select record"),
    *("Date", "Date from", "Date to", "Value from", "Value to"),
    *("Changed", "Deleted"),  # of django-simple-history
    "History",
    "Press the 'Change History' button below to edit the history.",
    "Choose a date from the list below to revert to a previous version of this object",
)
"""What the admin's theme says and has no words for in any language but English."""

Text = str | tuple[str, ...]
"""A msgid, or that of one and that of many."""

OF_SCRIPTS: tuple[Text, ...] = (
    *("(click to clear)", "Choose all %s", "Choose selected %s", "Filter", "Remove all %s", "Remove selected %s"),
    'Choose %s by selecting them and then select the "Choose" arrow button.',
    'Remove %s by selecting them and then select the "Remove" arrow button.',
    "Type into this box to filter down the list of selected %s.",
    ("%s selected option not visible", "%s selected options not visible"),
)
"""Texts of the admin's own scripts that Django has in few languages: the domain ``djangojs``."""


@cache
def said() -> dict[Text, list[str]]:
    """Every text that the server's code marks for translation, and where."""
    texts: dict[Text, list[str]] = {}
    for app in APPS:
        for path in sorted((BASE_DIR / app).rglob("*.py")):
            if "migrations" not in path.parts:
                _note(texts, path, path.read_bytes(), "python")
        for path in sorted((BASE_DIR / app).rglob("*.html")):
            _note(texts, path, templatize(path.read_text(), origin=str(path)).encode(), "javascript")
    for text in (*_declared(), *OF_UNFOLD):
        texts.setdefault(text, []).append("declared")
    return texts


def _note(texts: dict[Text, list[str]], path: Path, source: bytes, kind: str) -> None:
    for _line, text, _comments, _context in extract(kind, io.BytesIO(source), keywords=KEYWORDS):
        texts.setdefault(text, []).append(path.relative_to(BASE_DIR).as_posix())


def _declared() -> Iterator[str]:
    """Declared texts are not marked one by one: models, pages of the navigation, states of the admin's lists."""
    from django.apps import apps
    from django.contrib import admin

    if not apps.ready:  # outside of pytest
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.static_settings"
        django.setup()

    from quota_platform import rights
    from quota_platform.apps import OURS
    from quota_platform.base import features
    from quota_platform.base.admin import display
    from quota_platform.base.models.translated import texts

    ours = [model for app in OURS for model in apps.get_app_config(app).get_models()]
    yield from texts(model for model in ours if not model.__name__.startswith("Historical"))
    yield from sorted({text for feature in features.installed() for page in feature.pages for text in page[:2]})
    yield from sorted(rights.known())
    yield from (name for model in ours for _codename, name in model._meta.permissions)
    admin.autodiscover()
    yield from sorted(display.WORDS)


def texts_of(domain: str) -> dict[Text, list[str]]:
    return said() if domain == "django" else {text: ["declared"] for text in OF_SCRIPTS}


def po_file(language: str, domain: str = "django") -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{domain}.po"


def catalogue(language: str, domain: str = "django") -> Catalog:
    path = po_file(language, domain)
    if not path.exists():
        return Catalog(locale=language)
    return read_po(io.BytesIO(path.read_bytes()), locale=language)


def compiled(language: str, domain: str = "django") -> bytes:
    """The ``.mo`` of a language as it should be: the same bytes whenever it is made."""
    found = io.BytesIO()
    write_mo(found, catalogue(language, domain))
    return found.getvalue()


def browser(language: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((LOCALE / language / "browser.json").read_text())
    return read


def places(text: str) -> set[str]:
    """The names of the values that a text speaks of."""
    return {one or other for one, other in PLACES.findall(text)}


def update(language: str, domain: str = "django") -> list[Any]:
    """Bring a language's texts in line with the code's; which have no translation yet?"""
    old, new = catalogue(language, domain), Catalog(locale=language, fuzzy=False, project="quota-platform")
    new.creation_date = new.revision_date = old.creation_date
    for text, where in sorted(texts_of(domain).items(), key=lambda each: (each[1][0], str(each[0]))):
        held = old.get(text[0] if isinstance(text, tuple) else text)
        new.add(text, held.string if held is not None else "", locations=[(place, 0) for place in sorted(set(where))])
    path = po_file(language, domain)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, new, width=120, include_lineno=False, omit_header=False)
    path.with_suffix(".mo").write_bytes(compiled(language, domain))
    return [message.id for message in new if message.id and not (message.string and all(message.string))]


if __name__ == "__main__":
    for each in LANGUAGES:
        print(each, *(text for domain in DOMAINS for text in update(each, domain)), sep="\n  ")
