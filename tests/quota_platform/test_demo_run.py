"""`make run` as a newcomer lives it: start, 101 calls, Ctrl-C, start again. Real processes, real sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from quota_platform import embedded
from quota_platform.embedded import free_port
from quota_platform.env import BASE_DIR
from tests import migrated
from tests.demo import post, running, start
from tests.patience import HANG_S, until


@pytest.mark.slow  # two starts of the whole platform
def test_101_calls_then_ctrl_c_then_a_second_start_that_remembers(tmp_path: Path, django_db_setup: None) -> None:
    """Its database begins as a copy of the tests' own: the same migrations made that from nothing."""
    var, port = tmp_path / "var", free_port()
    var.mkdir()
    migrated.copy_to(var / "demo.sqlite3")
    with running(var, port) as (process, first):
        assert first["base_url"] == f"http://127.0.0.1:{port}"
        with ThreadPoolExecutor(10) as callers:
            began = time.monotonic()
            responses = list(callers.map(lambda _: post(first), range(101)))
        assert Counter(response.status_code for response in responses) == {200: 100, 429: 1}
        refused = next(response for response in responses if response.status_code == 429)
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert post(first, tenant=2).status_code == 403, "Initech is suspended"
        added = {"client_id": "added", "client_secret": "canary"}
        assert requests.post(f"{first['sandbox']['control_url']}/clients", json=added, timeout=HANG_S).ok

        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_S) == 0
        assert not [child for child in children if child.is_running()]
        assert not (var / "demo.json").exists()

    with running(var, port, WEB_WORKERS="1") as (_, second):
        assert second == first
        again, passed_s = post(second).status_code, time.monotonic() - began
        assert again == 429 or passed_s > 60, (
            "the window outlived the restart, unless the machine is slower than it is long"
        )
        clients = requests.get(f"{second['sandbox']['control_url']}/clients", timeout=HANG_S).json()["clients"]
        assert {client["client_id"] for client in clients} == {"demo-client", "added"}


@pytest.mark.slow  # the whole platform, and two herds in real time
def test_what_retry_after_promises_the_demo_s_herds_is_kept(tmp_path: Path, django_db_setup: None) -> None:
    """Thirty clients at two calls a second, of one tenant and of two that share the limit, beside the other traffic."""
    var, port = tmp_path / "var", free_port()
    var.mkdir()
    migrated.copy_to(var / "demo.sqlite3")
    with running(var, port, METRICS_TOKEN="canary-scraper", DEMO_TRAFFIC="1") as (_, known):

        def counted(name: str) -> dict[str, float]:
            """Of each tenant."""
            scraper = {"Authorization": "Bearer canary-scraper"}
            text = requests.get(f"http://127.0.0.1:{port}/metrics", headers=scraper, timeout=HANG_S).text
            found = re.findall(rf'^{name}\{{tenant="(\w+)"\}} (\S+)$', text, re.MULTILINE)
            return {tenant: float(value) for tenant, value in found}

        def herd_returned(story: str, clients: Mapping[str, int]) -> None:
            before = counted("quota_returned_total")

            def returned() -> bool:
                now = counted("quota_returned_total")
                return all(now.get(tenant, 0) - before.get(tenant, 0) >= least for tenant, least in clients.items())

            order = json.dumps({"story": story})
            assert requests.post(f"{known['sandbox']['control_url']}/story", data=order, timeout=HANG_S).ok
            until(returned, what=f"the clients of {story}")

        herd_returned("herd", {"globex": 20})
        herd_returned("shared_herd", {"globex": 10, "hooli": 10})
        ratios = counted("quota_retry_after_kept_ratio")
    assert {"globex", "hooli"} <= ratios.keys()
    assert all(ratio >= 0.999 for ratio in ratios.values()), ratios


def test_a_port_that_is_taken_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert start(tmp_path / "var", port).wait(HANG_S) == 1
    assert f"Port {port} is in use on this machine. Choose another one: PORT=" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("module", ["quota_platform", "quota_platform.demo"])
def test_help_is_printed_and_nothing_is_started(module: str, tmp_path: Path) -> None:
    line = [sys.executable, "-m", module, "--help"]
    variables = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path / "var")}
    ended = subprocess.run(line, cwd=BASE_DIR, env=variables, capture_output=True, text=True, timeout=HANG_S)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"usage: python -m {module}")
    assert not (tmp_path / "var").exists()
    if module == "quota_platform.demo":
        assert "DEMO_TRAFFIC" in ended.stdout and str(tmp_path) not in ended.stdout


def refused(var: Path, **settings: str) -> str:
    """What the demo says when it cannot start with these settings."""
    ended = subprocess.run(
        [sys.executable, "-m", "quota_platform.demo"],
        cwd=BASE_DIR,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(var), "PORT": str(free_port()), **settings},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


def test_a_store_that_does_not_respond_is_named_with_the_remedy(tmp_path: Path) -> None:
    said = refused(tmp_path, REDIS_URL=f"redis://:canary-password@127.0.0.1:{free_port()}/0")
    assert "REDIS_URL does not answer. Its last words:\n  Error" in said
    assert "canary-password" not in said


def test_a_database_that_does_not_respond_is_quoted_with_the_remedy(tmp_path: Path) -> None:
    said = refused(tmp_path, DATABASE_URL=f"postgresql://quota:canary-password@127.0.0.1:{free_port()}/quota")
    assert "DATABASE_URL does not answer. Its last words:\n  " in said
    assert "onnection refused" in said
    assert "canary-password" not in said


def test_data_of_a_newer_store_are_named_with_what_to_do(tmp_path: Path) -> None:
    """An older server cannot read what the one that ships has written, and says something that helps nobody."""
    embedded.start_valkey(directory=tmp_path / "valkey", durable=True).stop()
    older = tmp_path / "redis-server"
    older.write_text('#!/bin/sh\n[ "$1" = --version ] && exec echo "Redis server v=7.0.15"\necho "Bad file"; exit 1\n')
    older.chmod(0o755)

    said = refused(tmp_path, VALKEY_SERVER=str(older))

    assert f"Starting the store for the setup: Redis 7.0.15 ({older}, as VALKEY_SERVER says)" in said
    assert "Its last words:\n  Bad file\n" in said
    assert "Leave VALKEY_SERVER out, so that the demo runs on Valkey " in said
    assert f"forget the demo's data: rm -r {tmp_path}" in said
