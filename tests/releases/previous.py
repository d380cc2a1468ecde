"""The code of the previous release, from the repository's history, to be run beside this one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest

from quota_platform.env import BASE_DIR

PARTS = ("dashboard", "limiter", "locale", "quota_platform", "tenants", "manage.py", "pyproject.toml")
_WEB = """
import inspect, json, sys
from quota_platform import roles
wanted, known = json.loads(sys.argv[1]), inspect.signature(roles.web).parameters
print(json.dumps(roles.web(**{name: value for name, value in wanted.items() if name in known})))
"""


def version() -> str:
    """The newest one with a date."""
    dated = re.search(r"^## (\S+), \d{4}-\d\d-\d\d$", (BASE_DIR / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert dated is not None
    return dated[1]


def unpack(into: Path) -> Path:
    """Its code, in this folder. Skips the test where the history does not go back so far."""
    commit = _commit_of(version())
    if commit is None:
        pytest.skip(f"the history with release {version()} is not here")
    packed = _git("archive", commit, *PARTS)
    assert packed is not None
    with tarfile.open(fileobj=BytesIO(packed)) as files:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            files.extractall(into, filter="data")
        else:
            files.extractall(into)
    return into


def web(code: Path, wanted: Mapping[str, int]) -> list[str]:
    """The command line of its web role, with those of these numbers that it takes."""
    command = [sys.executable, "-c", _WEB, json.dumps(wanted)]
    line: list[str] = json.loads(subprocess.run(command, cwd=code, capture_output=True, check=True).stdout)
    return line


def _commit_of(number: str) -> str | None:
    """The one that dates the section of this version; the oldest one of a shallow history only seems to."""
    found = _git("log", "--format=%H", f"-S## {number}, ", "--", "CHANGELOG.md")
    for commit in (found or b"").decode().split()[-1:]:
        if f'\nversion = "{number}"\n' in (_git("show", f"{commit}:pyproject.toml") or b"").decode():
            return commit
    return None


def _git(*words: str) -> bytes | None:
    try:
        return subprocess.run(["git", *words], cwd=BASE_DIR, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
