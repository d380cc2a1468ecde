"""The supervisor: everything ends together, the store last, and nothing is left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from quota_platform.demo.service import all_of
from quota_platform.env import BASE_DIR
from tests.patience import HANG_S


@contextmanager
def supervised(directory: Path, extra: str = "") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.quota_platform.supervised_story", str(directory), extra],
        cwd=BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def pids_once_up(process: subprocess.Popen[str], *, count: int) -> list[psutil.Process]:
    """Read the log until ``count`` processes said they are up."""
    assert process.stdout is not None
    found: list[psutil.Process] = []
    for line in process.stdout:
        if up := re.search(r"\| up \S+ (\d+)", line):
            found.append(psutil.Process(int(up.group(1))))
            if len(found) == count:
                return found
    raise AssertionError("the log ended early")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_and_the_store_last(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path) as process:
        children = pids_once_up(process, count=3)
        process.send_signal(number)
        log, _ = process.communicate(timeout=HANG_S)
    assert "ended first: None" in log
    ended = (tmp_path / "ended").read_text().split()
    assert sorted(ended[:-1]) == ["web", "worker"]
    assert ended[-1] == "valkey"
    assert not any(child.is_running() for child in children)


def test_one_that_fails_ends_all_and_is_named_with_its_last_words(tmp_path: Path) -> None:
    with supervised(tmp_path, "failing") as process:
        log, _ = process.communicate(timeout=HANG_S)
    assert "ended first: ('broken', 3)" in log
    assert "last words:   a setting is missing\n" in log


def test_one_that_will_not_end_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, "stubborn") as process:
        children = pids_once_up(process, count=4)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=HANG_S)
    assert not any(child.is_running() for child in children)
    assert (tmp_path / "ended").read_text().split()[-1] == "valkey"


def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    with supervised(tmp_path) as process:
        children = pids_once_up(process, count=3)
        process.kill()
        _, alive = psutil.wait_procs(children, timeout=HANG_S)
    assert alive == []


def test_no_secret_stands_on_a_command_line(tmp_path: Path) -> None:
    variables = {
        "VAR_DIR": str(tmp_path),
        "PORT": "8000",
        "WEB_WORKERS": "2",
        "PAGES_WORKERS": "1",
        "DEMO_TRAFFIC": "1",
        "SANDBOX_PORT": "8801",
        "VALKEY_PORT": "6390",
        "SECRET_KEY": "canary-secret-key",
        "SECRETS_KEYS": "canary-secrets-keys",
        "METRICS_TOKEN": "canary-metrics-token",
        "DEMO_ADMIN_PASSWORD": "canary-admin",
        "SANDBOX_CLIENT_ID": "demo-client",
        "SANDBOX_CLIENT_SECRET": "canary-client-secret",
    }
    services = all_of(variables)
    assert [s.name for s in services] == ["valkey", "sandbox", "web", "worker", "beat", "welcome", "traffic"]
    assert not any("canary" in word for s in services for word in s.command)
    assert "canary" not in repr(services)


def test_traffic_can_be_switched_off_and_the_store_be_ones_own(tmp_path: Path) -> None:
    variables = {
        "VAR_DIR": str(tmp_path),
        "PORT": "8000",
        "WEB_WORKERS": "2",
        "PAGES_WORKERS": "1",
        "DEMO_TRAFFIC": "0",
        "SANDBOX_PORT": "8801",
        "SANDBOX_CLIENT_ID": "demo-client",
        "SANDBOX_CLIENT_SECRET": "canary-client-secret",
    }
    assert [s.name for s in all_of(variables)] == ["sandbox", "web", "worker", "beat", "welcome"]
