"""The roles of a deployment: one name, one command line, and settings are checked before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quota_platform import roles
from quota_platform.env import BASE_DIR
from tests.patience import HANG_S


def test_the_web_role_starts_as_many_workers_as_the_settings_say() -> None:
    line = roles.command("web", ["--port", "8123"], workers=3, pages_workers=1)
    assert line[line.index("--workers") + 1] == "4"
    assert line[-2:] == ["--port", "8123"]


def test_calls_that_run_when_the_web_role_stops_have_the_time_that_the_setting_says() -> None:
    line = roles.command("web", [], workers=1, pages_workers=0, stop_grace_s=77)
    assert line[line.index("--timeout-graceful-shutdown") + 1] == "77"


@pytest.mark.parametrize("role", ["worker", "beat", "migrate", "sandbox"])
def test_arguments_after_a_role_are_handed_to_its_program(role: str) -> None:
    assert roles.command(role, ["--quick"], workers=2, pages_workers=1) == [*roles.PLAIN[role](), "--quick"]


def test_a_word_that_is_no_role_is_a_command_of_manage_py() -> None:
    assert roles.command("createsuperuser", [], workers=2, pages_workers=1)[-2:] == [
        str(BASE_DIR / "manage.py"),
        "createsuperuser",
    ]


def start(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quota_platform", *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(BASE_DIR), **variables},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )


def test_a_role_with_missing_settings_does_not_start_and_names_them_all(tmp_path: Path) -> None:
    refused = start(tmp_path, "web")
    assert refused.returncode != 0
    assert all(f"  {name}: " in refused.stderr for name in ("SECRET_KEY", "SECRETS_KEYS", "DATABASE_URL", "REDIS_URL"))
    assert "Traceback" not in refused.stderr


def test_without_a_role_the_roles_are_named(tmp_path: Path) -> None:
    refused = start(tmp_path)
    assert refused.returncode != 0
    assert "web,worker,beat,migrate,sandbox" in refused.stderr


def test_a_role_with_its_settings_becomes_that_process(tmp_path: Path) -> None:
    settings = {name: os.environ[name] for name in ("SECRET_KEY", "SECRETS_KEYS", "DATABASE_URL", "REDIS_URL")}
    version = start(tmp_path, "web", "--version", **settings)
    assert version.returncode == 0
    assert version.stdout.startswith("Running uvicorn")
