"""The check of docs/style.md finds every word, and its allowed counts only fall."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("words", ROOT / ".ci" / "words.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


words = _load()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / ".ci" / "words.json").write_text('{"docs": 2}')
    return tmp_path


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("Whoever waits is let through.", "Whoever"),
        ("the tenant for whom it calls", "whom"),
        ("It shows what is left.", "what is"),
        ("What was refused is kept.", "What was"),
        ("The caller is told.", "told"),
        ("def test_callers_are_told_the_wait():", "told"),
        ("The answer carries a header.", "The answer"),
        ("an upstream answer", "an upstream answer"),
        ("def read_answer():", "read_answer"),
        ("class UpstreamAnswer:", "UpstreamAnswer"),
        ("def test_an_answer_is_kept() -> None:", "answer"),
        ("def test_the_form_names_whom_it_hits() -> None:", "whom"),
        ("def test_what_was_found_is_kept() -> None:", "test_what_was_found_is_kept"),
        ("the 101st call is answered 429", "is answered 429"),
        ("MOST_ROWS = 50", "MOST_ROWS"),
        ("while the store is away", "is away"),
        ("The header says so.", "header says"),
        ("the script asks the store", "script asks"),
        ("CXone knows the contact", "CXone knows"),
    ],
)
def test_each_word_is_found_with_its_line_and_a_suggestion(line: str, word: str) -> None:
    (place,) = words.in_text("docs/page.md", f"First line.\n{line}\n")
    assert (place.file, place.line, place.word) == ("docs/page.md", 2, word)
    assert place.suggestion


@pytest.mark.parametrize(
    "line",
    [
        "What is a lease?",
        "Run `test_callers_are_told`.",
        "Throw it away.",
        "You answer the alert.",
        "the sandbox responds",
    ],
)
def test_plain_sentences_pass(line: str) -> None:
    assert not list(words.in_text("docs/page.md", line))


def test_a_count_above_the_allowed_one_fails_and_is_never_raised(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "docs" / "page.md").write_text("whoever\nwhom\n")
    assert words.main([], tree) == 0
    (tree / "docs" / "page.md").write_text("whoever\nwhom\ntold\n")
    assert words.main(["--update"], tree) == 1
    assert "docs/page.md:3: 'told': reported, notified, given" in capsys.readouterr().out
    assert json.loads((tree / ".ci" / "words.json").read_text()) == {"docs": 2}


def test_an_update_lowers_the_allowed_count(tree: Path) -> None:
    (tree / "docs" / "page.md").write_text("whoever\n")
    assert words.main(["--update"], tree) == 0
    assert json.loads((tree / ".ci" / "words.json").read_text()) == {"docs": 1}
    (tree / "docs" / "page.md").write_text("whoever\nwhom\n")
    assert words.main([], tree) == 1


def test_a_directory_without_an_allowed_count_has_none_of_the_words(tree: Path) -> None:
    (tree / "docs" / "page.md").write_text("")
    (tree / "README.md").write_text("whoever\n")
    assert words.main([], tree) == 1


def test_the_name_of_a_class_means_one_thing() -> None:
    """A nested one goes by the name of the class around it, a command by that of its module."""
    places = defaultdict(list)
    rooms = ("dashboard", "limiter", "quota_platform", "tenants")
    for source in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        for node in ast.parse(source.read_text()).body if "migrations" not in source.parts else ():
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and source.parent.name != "commands":
                places[node.name].append(str(source.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
