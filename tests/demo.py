"""The demo as `make run` starts it, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from quota_platform.env import BASE_DIR
from tests.patience import HANG_S


def start(var: Path, port: int, **settings: str) -> subprocess.Popen[bytes]:
    """The demo as `make run` starts it, without the addresses of the test run's own servers."""
    with (var.parent / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "quota_platform.demo"],
            cwd=BASE_DIR,
            env={
                "PATH": os.environ["PATH"],
                "VAR_DIR": str(var),
                "PORT": str(port),
                # Any setting can be given to the demo; this one stands for all that it does not make itself.
                "ALERT_HOOK_HOSTS": "127.0.0.1:9",
                **settings,
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def facts_once_ready(process: subprocess.Popen[bytes], var: Path) -> dict[str, Any]:
    """The contents of demo.json, as soon as it is there."""
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        if (var / "demo.json").exists():
            known: dict[str, Any] = json.loads((var / "demo.json").read_text())
            return known
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError("the demo did not become ready:\n" + (var.parent / "log").read_text()[-5000:])


@contextmanager
def running(var: Path, port: int, **settings: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    process = start(var, port, **settings)
    try:
        yield process, facts_once_ready(process, var)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(HANG_S)


def post(known: dict[str, Any], *, tenant: int = 0) -> requests.Response:
    caller = known["tenants"][tenant]
    return requests.post(
        f"{known['base_url']}/invoke/{caller['actions'][0]}",
        headers={"Authorization": f"Bearer {caller['api_key']}"},
        json={"order": 4711},
        timeout=HANG_S,
    )
