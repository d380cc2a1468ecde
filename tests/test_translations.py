"""Every text that people read is in every language: in the server's catalogues, in the browser's, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message
from django.contrib import admin
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JavaScriptCatalog

from dashboard import figures
from quota_platform import languages
from quota_platform.env import BASE_DIR
from tests import catalogues, unmarked
from tests.catalogues import LANGUAGES, SOURCE, browser, catalogue, compiled, places, po_file, said

MODULES = sorted(path for app in catalogues.APPS for path in (BASE_DIR / app).rglob("*.py"))
SCRIPTS = sorted([*BASE_DIR.glob("dashboard/static/dashboard/*.js"), *BASE_DIR.glob("quota_platform/static/*/*.js")])
TEMPLATES = sorted(path for app in catalogues.APPS for path in (BASE_DIR / app).rglob("templates/**/*.html"))
NAMES = {"API", "ID", "Quota", "UTC", "ms"}
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
    # Remedy: python -m tests.catalogues, then translate the texts that it lists.
    assert set(found) == set(said())
    assert [text for text, message in found.items() if not all(texts_of(message))] == []
    assert [text for text, message in found.items() if message.fuzzy] == []


def test_no_text_that_a_page_may_show_is_unmarked() -> None:
    found = {
        path.relative_to(BASE_DIR).as_posix(): texts
        for path in MODULES
        if unmarked.is_shown(path, root=BASE_DIR)
        if (texts := [each for each in unmarked.unmarked(path.read_text()) if not _is_declared(each[1])])
    }
    # Remedy: gettext, or kept_text for stored texts; docs/translating.md. Text for programs: tests/unmarked.py.
    assert found == {}


def _is_declared(text: str) -> bool:
    """Whether a model, an algorithm or a list of the admin declares it, with its numbers in it."""
    form = re.compile(re.escape(text).replace(r"\{\}", "[0-9,]+"))
    return any(isinstance(each, str) and form.fullmatch(each) for each, where in said().items() if "declared" in where)


@pytest.mark.parametrize("pattern", [*unmarked.FOR_PROGRAMS, *unmarked.SHOWN_ALL_THE_SAME])
def test_each_exception_from_marking_is_of_modules_that_there_are(pattern: str) -> None:
    assert any(unmarked.covers(pattern, path.relative_to(BASE_DIR).as_posix()) for path in MODULES)


@pytest.mark.parametrize(
    "code",
    [
        'raise ValidationError("Give a number above 0.")',
        'raise ValidationError({"quota": "Give a number above 0."})',
        'errors["quota"] = f"Give at most {most} units."',
        'messages.success(request, "It is being built.")',
        'self.message_user(request, f"Version {version} is back.")',
        'yield "quota", "Give the window in seconds."',
        'raise HostRefused(f"{name} is no name.")',
        'title = "state"',
        'context = {"title": "Revoke"}',
        'format_html("<a>Revoke this key</a>")',
        "said = f\"{one} {_('and another')}\"",
        'raise ValidationError(_(f"Give at most {most} units."))',
        'def refuse():\n    raise Refused(kept_text("It is kept in English."))',
    ],
)
def test_a_text_that_nothing_marks_is_found(code: str) -> None:
    assert unmarked.unmarked(code)


@pytest.mark.parametrize(
    "code",
    [
        'raise ValidationError(_("Give at most {most} units.").format(most=most))',
        'NOTE = kept_text("It is kept in English.")',
        'log.warning("the store is unavailable: %s", error)',
        '"""What this module is about."""',
        'name = models.CharField("tenant ID", help_text="Letters and digits.")',
        'class Mode(models.TextChoices):\n    SHADOW = "shadow", "record but do not refuse"',
        'shown = f"{used} / {limit}"',
        'headers = {"Authorization": f"Bearer {token}"}',
    ],
)
def test_texts_that_are_marked_declared_or_for_programs_are_left_alone(code: str) -> None:
    assert unmarked.unmarked(code) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_speaks_of_the_same_values(language: str) -> None:
    for text, message in messages(language).items():
        of_one, of_many = (text, text) if isinstance(text, str) else text[:2]
        first, *others = texts_of(message)
        assert places(first) in (places(of_one), places(of_many)), text
        assert [each for each in others if places(each) != places(of_many)] == [], text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("domain", catalogues.DOMAINS)
def test_compiled_catalogues_equal_the_written_ones(domain: str, language: str) -> None:
    # Remedy: python -m tests.catalogues
    assert po_file(language, domain).with_suffix(".mo").read_bytes() == compiled(language, domain)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_admins_scripts_have_the_words_of_the_language(language: str) -> None:
    view = JavaScriptCatalog()
    view.translation = DjangoTranslation(
        language, domain="djangojs", localedirs=view.get_paths(["django.contrib.admin"])
    )
    words = view.get_catalog()
    for text in catalogues.OF_SCRIPTS:
        of_one, *_ = text if isinstance(text, tuple) else (text,)
        assert words.get(of_one, of_one) not in (of_one, text)


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
    """The codes in a piece of code, whole or as the start of a composed code."""
    quoted = re.findall(r"[\"'`]([a-z]\w*(?:\.[\w$%{}()., \[\]-]*)?)[\"'`]", text)
    return {re.split(r"[{$%]", code)[0] for code in quoted}


def test_every_field_that_a_form_of_the_admin_declares_has_a_label() -> None:
    pages = [page for page in admin.site._registry.values() if type(page).__module__.startswith(catalogues.APPS)]
    forms_of = {each.form for page in pages for each in (page, *page.inlines)}
    unlabelled = {
        f"{form.__module__}.{form.__name__}.{name}"
        for form in forms_of
        for name, field in getattr(form, "declared_fields", {}).items()
        if field.label is None
    }
    # Django would make an English label of the field's name.
    assert unlabelled == set()


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
    source = _shown(path)
    # Where there is no value, {{ value|default:_("text") }}.
    assert re.findall(r"\|default(?:_if_none)?:\"[^\"]*[A-Za-z]{2}[^\"]*\"", source) == []
    source = re.sub(r"(?s)<span[^>]*material-symbols-outlined.*?</span>", "", source)
    source = re.sub(r"(?s)\{% block bodyclass %\}.*?\{% endblock %\}", "", source)
    bare = re.sub(r"(?s)\{%\s*blocktranslate.*?endblocktranslate\s*%\}|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", source)
    bare = re.sub(r"&\w+;", "", bare)
    data = re.findall(r"(?:aria-label|placeholder|title|alt)=\"([^\"]*)\"", bare)
    data += re.sub(r"<[^>]*>", "\n", re.sub(r"(?s)<(svg|script)\b.*?</\1>", "", bare)).split("\n")
    left = [text.strip(" \N{MIDDLE DOT}/…,:") for text in data]
    assert [text for text in left if re.search(r"[A-Za-z]{2}", text) and text not in NAMES] == []
