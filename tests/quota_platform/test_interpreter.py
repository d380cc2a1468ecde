"""Which Python `make` takes: an optimized one before any other, and never in silence one that is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quota_platform import interpreter
from quota_platform.env import BASE_DIR
from tests.patience import HANG_S

BUILDS: dict[str, tuple[dict[str, object], bool]] = {
    "the official images": ({"CONFIG_ARGS": "'--enable-optimizations' '--with-lto'", "PY_CFLAGS": "-O3"}, True),
    "a profile in the flags alone": ({"PY_CFLAGS_NODIST": "-fprofile-use -flto"}, True),
    "clang's profile": ({"PY_CORE_CFLAGS": "-fprofile-instr-use=code.profclangd"}, True),
    "Debian, which hides its flags": (
        {"CONFIG_ARGS": "'--prefix=/usr' '--with-dbmliborder=bdb:gdbm' '--without-ensurepip'"},
        True,
    ),
    "pyenv as it comes": ({"CONFIG_ARGS": "'--prefix=/home/ana/.pyenv' '--enable-shared'", "PY_CFLAGS": "-O3"}, False),
    "a debug build": ({"CONFIG_ARGS": "'--enable-optimizations'", "Py_DEBUG": 1}, False),
    "a system that says nothing": ({}, False),
}


@pytest.mark.parametrize("build", BUILDS)
def test_a_build_is_optimized_when_it_was_made_with_a_profile(build: str) -> None:
    variables, optimized = BUILDS[build]

    assert interpreter.is_optimized(variables) is optimized


def test_the_description_names_the_build_and_no_path() -> None:
    variables, _ = BUILDS["pyenv as it comes"]

    text = interpreter.describe(variables)

    assert "not optimized (built without --enable-optimizations), no LTO, -O3, shared library" in text
    assert "ana" not in text


OPTIMIZED = "#!/bin/sh\nexit 0\n"
NOT_OPTIMIZED = '#!/bin/sh\nfor word; do [ "$word" = --optimized ] && exit 1; done\nexit 0\n'
TOO_OLD = "#!/bin/sh\nexit 1\n"


def found(tmp_path: Path, **pythons: str) -> subprocess.CompletedProcess[str]:
    """What `make` would take where these lie on the PATH; the directory's and the program's name are the key."""
    directories: dict[str, None] = {}
    for place, text in pythons.items():
        directory, name = place.split("_", 1)
        path = tmp_path / directory / name.replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        directories[str(path.parent)] = None
    script = str(BASE_DIR / ".ci" / "find-python")
    return subprocess.run(
        ["/bin/sh", script], env={"PATH": ":".join(directories)}, capture_output=True, text=True, timeout=HANG_S
    )


def test_an_optimized_python_is_taken_before_a_newer_one_that_is_not(tmp_path: Path) -> None:
    taken = found(tmp_path, first_python3_13=NOT_OPTIMIZED, first_python3_11=OPTIMIZED)

    assert taken.stdout == f"{tmp_path}/first/python3.11\n"
    assert taken.stderr == ""


def test_every_directory_of_the_path_is_looked_into(tmp_path: Path) -> None:
    taken = found(tmp_path, first_python3_11=NOT_OPTIMIZED, second_python3_11=OPTIMIZED)

    assert taken.stdout == f"{tmp_path}/second/python3.11\n"


def test_where_there_is_no_optimized_python_the_newest_is_taken_and_the_cost_said(tmp_path: Path) -> None:
    taken = found(tmp_path, first_python3_13=TOO_OLD, first_python3_12=NOT_OPTIMIZED, first_python3=NOT_OPTIMIZED)

    assert taken.stdout == f"{tmp_path}/first/python3.12\n"
    assert "No optimized Python on the PATH" in taken.stderr
    assert "PYTHON=" in taken.stderr


def test_no_python_that_will_do_is_a_failure(tmp_path: Path) -> None:
    taken = found(tmp_path, first_python3=TOO_OLD)

    assert (taken.returncode, taken.stdout) == (1, "")


def test_an_interpreter_that_has_nothing_installed_can_be_asked() -> None:
    script = str(BASE_DIR / "quota_platform" / "interpreter.py")
    asked = subprocess.run(
        [sys.executable, "-I", "-S", script],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )

    assert (asked.returncode, asked.stderr) == (0, "")
    assert "optimized" in asked.stdout
