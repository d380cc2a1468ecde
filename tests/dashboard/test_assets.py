"""The dashboard's files: vendored ones are unchanged, all are small, and none is fetched from elsewhere."""

from __future__ import annotations

import gzip
import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from dashboard.messages import VERSION
from quota_platform.env import BASE_DIR

STATIC = BASE_DIR / "dashboard" / "static"
TEMPLATES = BASE_DIR / "dashboard" / "templates"
MANIFESTS = sorted([*STATIC.rglob("VENDOR.toml"), *(BASE_DIR / "tests" / "browser").rglob("VENDOR.toml")])
OURS = sorted([*(STATIC / "dashboard").iterdir(), *TEMPLATES.rglob("*.html")])
PAGE_WEIGHT = 200_000


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.parent.as_posix().split("/")[-2])
def test_vendored_files_are_the_published_ones(manifest: Path) -> None:
    hashes = tomllib.loads(manifest.read_text())["sha256"]
    assert {name: hashlib.sha256((manifest.parent / name).read_bytes()).hexdigest() for name in hashes} == hashes
    assert {path.name for path in manifest.parent.iterdir()} == {*hashes, "VENDOR.toml"}


def test_vendored_directories_have_manifests() -> None:
    assert len(MANIFESTS) == 2


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_pages_load_nothing_from_other_sites(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text)


@pytest.mark.parametrize("path", [path for path in OURS if path.suffix == ".js"], ids=lambda path: path.name)
def test_scripts_put_text_in_as_text_and_run_none(path: Path) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", path.read_text()
    )


@pytest.mark.parametrize(
    "script", ["dashboard/static/dashboard/stream.js", "quota_platform/static/quota_platform/glance.js"]
)
def test_scripts_read_the_version_of_frames_that_the_server_sends(script: str) -> None:
    assert f"const VERSION = {VERSION};" in (BASE_DIR / script).read_text()


def test_all_of_it_together_weighs_less_than_a_page_may() -> None:
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < PAGE_WEIGHT
