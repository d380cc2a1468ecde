"""The Lua scripts are checked by one version of luacheck: CI does not go on without it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci/lua"


def checked(tmp_path: Path, *, version: str | None, ci: str) -> subprocess.CompletedProcess[str]:
    """Of the tools that the script needs, and of a luacheck of this version that finds nothing."""
    for tool in ("sh", "sed"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}")
    if version:
        luacheck = tmp_path / "luacheck"
        luacheck.write_text(
            f'#!/bin/sh\nif [ "$1" = --version ]; then echo "Luacheck: {version}"; else echo checked; fi\n'
        )
        luacheck.chmod(0o755)
    environ = {**os.environ, "PATH": str(tmp_path), "CI": ci}
    return subprocess.run(["/bin/sh", SCRIPT], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", [None, "0.1.0"])
def test_in_ci_the_check_fails_without_the_version_that_is_named(tmp_path: Path, version: str | None) -> None:
    done = checked(tmp_path, version=version, ci="true")
    assert done.returncode == 1
    assert "apt-get install lua-check=" in done.stderr and (version or "none") in done.stderr


def test_elsewhere_a_missing_luacheck_is_reported(tmp_path: Path) -> None:
    missing = checked(tmp_path, version=None, ci="")
    assert (missing.returncode, missing.stdout) == (0, "") and "none is here" in missing.stderr


def test_elsewhere_another_version_is_used(tmp_path: Path) -> None:
    other = checked(tmp_path, version="0.1.0", ci="")
    assert (other.returncode, other.stdout) == (0, "checked\n") and "0.1.0 is here" in other.stderr


def test_in_ci_the_version_that_is_named_checks_the_scripts(tmp_path: Path) -> None:
    package = subprocess.run(["/bin/sh", SCRIPT, "--package"], capture_output=True, text=True, check=True).stdout
    version = package.partition("=")[2].partition("-")[0]
    done = checked(tmp_path, version=version, ci="true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "checked\n", "")
