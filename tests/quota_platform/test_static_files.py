"""Static files that are replaced under a running server: served as they are now, never half."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from quota_platform.static_files import CurrentStaticFiles

MADE_AT, REPLACED_AT = 1_900_000_000, 1_900_000_060


def put(path: Path, text: str, *, at: int) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


@pytest.fixture
def style(tmp_path: Path) -> Path:
    path = tmp_path / "style.css"
    put(path, "a {}", at=MADE_AT)
    return path


@pytest.fixture
def files(style: Path) -> Iterator[CurrentStaticFiles]:
    """Those of a process that started when the file was made."""
    with override_settings(STATIC_ROOT=str(style.parent), WHITENOISE_USE_FINDERS=False, WHITENOISE_AUTOREFRESH=False):
        yield CurrentStaticFiles(nowhere)


def nowhere(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no such page", status=404)


def fetched(files: CurrentStaticFiles, **headers: str) -> tuple[int, str, str | None]:
    """Status, body and length of the response."""
    response = files(RequestFactory().get("/static/style.css", headers=headers))
    body = b"".join(response)
    response.close()
    return response.status_code, body.decode(), response.headers.get("Content-Length")


def test_a_file_that_became_longer_or_shorter_is_served_whole(files: CurrentStaticFiles, style: Path) -> None:
    assert fetched(files) == (200, "a {}", "4")
    for number, text in enumerate(("a { color: red }", "b")):
        put(style, text, at=REPLACED_AT + number)
        assert fetched(files) == (200, text, str(len(text)))


def test_a_browser_that_has_the_former_file_gets_the_new_one(files: CurrentStaticFiles, style: Path) -> None:
    response = files(RequestFactory().get("/static/style.css"))
    former = response.headers["ETag"]
    response.close()
    assert fetched(files, **{"If-None-Match": former})[0] == 304
    put(style, "c {}", at=REPLACED_AT)
    assert fetched(files, **{"If-None-Match": former})[:2] == (200, "c {}")


def test_a_file_that_is_gone_is_no_fault_of_ours_and_comes_back(files: CurrentStaticFiles, style: Path) -> None:
    style.unlink()
    assert fetched(files)[:2] == (404, "no such page")
    put(style, "back", at=REPLACED_AT)
    assert fetched(files)[:2] == (200, "back")


def test_a_compressed_variant_that_is_replaced_is_served_whole_too(style: Path) -> None:
    packed = style.with_name("style.css.gz")
    put(packed, "1", at=MADE_AT)
    with override_settings(STATIC_ROOT=str(style.parent), WHITENOISE_USE_FINDERS=False, WHITENOISE_AUTOREFRESH=False):
        files = CurrentStaticFiles(nowhere)
        assert fetched(files, **{"Accept-Encoding": "gzip"}) == (200, "1", "1")
        put(packed, "22", at=REPLACED_AT)
        assert fetched(files, **{"Accept-Encoding": "gzip"}) == (200, "22", "2")
