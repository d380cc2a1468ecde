"""The documentation as a reader uses it: every page can be found, and every link leads somewhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from limiter.outage import modes

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
ROOMS = ("quota_platform", "dashboard", "limiter", "tenants", "tests", "locale")
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _prose(page: Path) -> str:
    """The page without its code, where brackets mean something else."""
    return re.sub(r"`[^`\n]*`|^(?: {4}|\t).*$", "", page.read_text(), flags=re.MULTILINE)


def _headings(page: Path) -> Iterator[str]:
    """The anchors that a forge makes of a page's headings."""
    for line in re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", line.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target, heading in _LINK.findall(_prose(page)):
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (heading and file.suffix == ".md" and heading not in set(_headings(file))):
            broken.append(f"{target}#{heading}")
    assert not broken


@pytest.mark.parametrize("index", [DOCS / "README.md", DOCS / "decisions" / "README.md"], ids=_name)
def test_an_index_lists_every_page_beside_it(index: Path) -> None:
    listed = {target for target, _ in _LINK.findall(_prose(index))}
    assert {page.name for page in index.parent.glob("*.md")} - {index.name} <= listed


def test_the_changelog_has_each_section_once_and_one_for_the_version_when_its_samples_are_kept() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    sections = re.findall(r"^## ([^,\s]+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert (version in sections) == (ROOT / "tests/releases" / version).exists()
    assert len(sections) == len(set(sections))


def test_a_release_in_the_changelog_has_the_four_sections_that_contributing_names() -> None:
    releases = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    for release in releases:
        found = re.findall(r"^### (.+)$", release, flags=re.MULTILINE)
        assert found == [each for each in ("Added", "Changed", "Fixed", "Upgrading") if each in found], release[:20]


def test_every_source_file_that_a_page_names_exists() -> None:
    files = {f"/{path.relative_to(ROOT)}" for room in ROOMS for path in (ROOT / room).rglob("*.*")}
    missing = [
        f"{_name(page)}: {named}"
        for page in PAGES
        if page.name != "CHANGELOG.md" and page.parent.name != "decisions"  # these speak of their time
        for named in re.findall(r"`(?!var/)((?:[\w-]+/)+[\w-]+\.(?:py|lua|js|html|json))`", page.read_text())
        if not any(file.endswith(f"/{named}") for file in files)
    ]
    assert not missing


def test_the_files_that_the_map_of_changes_names_have_the_objects_that_it_names() -> None:
    rows = re.findall(r"^\| .* \| [\d or]+ \| (.*) \|$", (DOCS / "architecture.md").read_text(), flags=re.MULTILINE)
    assert len(rows) == 15
    for row in rows:
        named = re.findall(r"`([\w./]+)`", row)
        sources = "".join((ROOT / name).read_text() for name in named if name.count("/") and (ROOT / name).is_file())
        objects = [name.rpartition(".")[2] for name in named if re.match(r"[A-Z]", name)]
        assert [name for name in objects if not re.search(rf"\b{name}\b", sources)] == [], row


def test_the_glossary_names_every_failure_mode() -> None:
    [row] = re.findall(r"^\| \*\*failure mode\*\* \|.*$", (DOCS / "glossary.md").read_text(), flags=re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(modes.MODES)


def test_every_test_that_a_page_names_exists() -> None:
    missing = []
    for page in PAGES:
        for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text()):
            source = ROOT / file
            if not source.exists() or f"def {name}(" not in source.read_text():
                missing.append(f"{_name(page)}: {file}::{name}")
    assert not missing
