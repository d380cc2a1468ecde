"""The facts without which a figure means nothing: when, which commit, which machine, which builds."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess
import sysconfig
from pathlib import Path

from quota_platform import interpreter
from quota_platform.embedded import chosen_server
from quota_platform.env import BASE_DIR
from tests.bench.contenders.contender import which


def facts() -> dict[str, str]:
    """Name → fact, in the order they are read. The packages are those that the commit pins."""
    return {
        "Date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": _commit(),
        "Machine": f"{os.cpu_count()} cores, {_cpu_model()}, {platform.system()} {platform.release()}",
        "Python": interpreter.describe(sysconfig.get_config_vars()),
        "Store": chosen_server(),
        "nginx": (_first_line(nginx, "-v") if (nginx := which("nginx")) else "") or "not installed",
    }


def load() -> str:
    """How many processes wanted a core, on average over 1, 5 and 15 minutes."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def _commit() -> str:
    commit = _first_line("git", "-C", str(BASE_DIR), "rev-parse", "--short", "HEAD") or "unknown"
    changed = _first_line("git", "-C", str(BASE_DIR), "status", "--porcelain", "--untracked-files=no")
    return f"{commit} and uncommitted changes" if changed else commit


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _first_line(*command: str) -> str:
    """The first line a command prints, or nothing when it cannot be run."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return (done.stdout or done.stderr).strip().partition("\n")[0]
    return ""
