"""Every text that people read is in every language: in the server's catalogues, in the browser's, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message

from dashboard import figures
from quota_platform import languages
from quota_platform.env import BASE_DIR
from tests import catalogues
from tests.catalogues import LANGUAGES, SOURCE, browser, catalogue, compiled, places, po_file, said

SCRIPTS = sorted([*BASE_DIR.glob("dashboard/static/dashboard/*.js"), *BASE_DIR.glob("quota_platform/static/*/*.js")])
TEMPLATES = sorted(BASE_DIR.glob("dashboard/templates/dashboard/*.html"))
NAMES = {"Quota", "ms"}
"""Texts that are the same in every language."""


def messages(language: str) -> dict[Any, Message]:
    return {message.id: message for message in catalogue(language) if message.id}


def texts_of(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def forms(words: Any) -> dict[str, str]:
    return {"": words} if isinstance(words, str) else {form: text for form, text in words.items() if form != "by"}


def test_german_and_spanish_are_among_the_languages() -> None:
    assert {"de", "es"} <= set(LANGUAGES)
    assert dict(languages.found(catalogues.LOCALE))["de"] == "Deutsch"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_code_is_translated(language: str) -> None:
    found = messages(language)
    # Remedy: python -m tests.catalogues, then translate what it lists.
    assert set(found) == set(said())
    assert [text for text, message in found.items() if not all(texts_of(message))] == []
    assert [text for text, message in found.items() if message.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_speaks_of_the_same_values(language: str) -> None:
    for text, message in messages(language).items():
        of_many = text if isinstance(text, str) else text[1]
        assert [each for each in texts_of(message) if places(each) != places(of_many)] == [], text


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    # Remedy: python -m tests.catalogues
    assert po_file(language).with_suffix(".mo").read_bytes() == compiled(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_browsers_catalogue_holds_the_same_words_with_the_same_values(language: str) -> None:
    theirs, ours = browser(language), browser(SOURCE)
    assert theirs.keys() == ours.keys()
    for code, words in theirs.items():
        wanted = places(forms(ours[code]).get("other", forms(ours[code]).get("", "")))
        assert all(text and places(text) == wanted for text in forms(words).values()), code
        assert isinstance(words, str) or words["by"] == ours[code]["by"], code
        assert isinstance(words, str) or {"one", "other"} <= words.keys(), code


def _codes(text: str) -> set[str]:
    """The codes in a piece of code, whole or as the start of what is put together."""
    quoted = re.findall(r"[\"'`]([a-z]\w*(?:\.[\w$%{}()., \[\]-]*)?)[\"'`]", text)
    return {re.split(r"[{$%]", code)[0] for code in quoted}


def test_every_word_of_the_browsers_catalogue_is_said_somewhere() -> None:
    files = [*SCRIPTS, *BASE_DIR.glob("dashboard/*.py")]
    codes = set().union(*(_codes(path.read_text()) for path in files))
    starts = tuple(code for code in codes if code.endswith((".", "_")))
    unsaid = [code for code in browser(SOURCE) if code not in codes and not code.startswith(starts)]
    assert unsaid == []


def test_every_word_that_scripts_and_frames_say_is_in_the_browsers_catalogue() -> None:
    asked: set[str] = set()
    for path in SCRIPTS:
        asked |= set(re.findall(r"\bword\(\"([^\"]+)\"", path.read_text()))
    for path in BASE_DIR.glob("dashboard/*.py"):
        asked |= set(re.findall(r"\"code\": \"([^\"]+)\"", path.read_text()))
    assert asked - browser(SOURCE).keys() - figures.words().keys() == set()


def _shown(path: Path) -> str:
    """Without the blocks that stand in tags of the page that this one extends."""
    return re.sub(r"(?s)\{% block body_\w+ %\}.*?\{% endblock %\}", "", path.read_text())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_of_a_template_is_outside_the_catalogues(path: Path) -> None:
    bare = re.sub(
        r"(?s)\{%\s*blocktranslate.*?endblocktranslate\s*%\}|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", _shown(path)
    )
    bare = re.sub(r"&\w+;", "", bare)
    data = re.findall(r"(?:aria-label|placeholder|title|alt)=\"([^\"]*)\"", bare)
    data += re.sub(r"<[^>]*>", "\n", re.sub(r"(?s)<(svg|script)\b.*?</\1>", "", bare)).split("\n")
    left = [text.strip(" \N{MIDDLE DOT}/…") for text in data]
    assert [text for text in left if re.search(r"[A-Za-z]{2}", text) and text not in NAMES] == []
