"""Two demos cannot share a directory; the second says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from quota_platform.demo import lock


def test_a_second_demo_is_refused_with_the_remedy(tmp_path: Path) -> None:
    said: list[str] = []
    with lock.held(tmp_path, say=said.append):
        with pytest.raises(lock.InUse, match="VAR_DIR="):
            with lock.held(tmp_path, say=said.append, patience_seconds=0):
                raise AssertionError("both hold the directory")


def test_the_directory_is_free_again_afterwards(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        with lock.held(tmp_path, say=said.append, patience_seconds=0):
            pass
    assert said == []


def test_demos_in_different_directories_do_not_meet(tmp_path: Path) -> None:
    said: list[str] = []
    with lock.held(tmp_path / "one", say=said.append), lock.held(tmp_path / "other", say=said.append):
        assert said == []
