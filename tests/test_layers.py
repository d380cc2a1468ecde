"""The layers are not only drawn: an import that breaks them fails the build."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("quota_platform", "dashboard", "limiter", "tenants")
APPS = "Apps: platform, dashboard, limiter, tenants, base"
PURE_CORE = "Core: no Django, no app, no HTTP"
SERVER = "Server: knows no feature"
AIOHTTP = "aiohttp: the sandbox and the demo alone"
LIMITER = "Limiter: gateway, features, policies and upstream, core, stores"
CORE = "Core: store, stack, rules, values"
FEATURES = {
    room: f"{room.capitalize()}: admin, API and tasks above rules above models"
    for room in ("policies", "record", "alerts", "reports")
}
LIVE = "Live: snapshot, change feed, cache, loader, what these stand on"
PLATFORM = "Platform: server, sandbox and demo know nothing of each other"
STATE = re.compile(r"^(.+) (KEPT|BROKEN)$", re.MULTILINE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code of all packages, to be spoilt."""
    for package in PACKAGES:
        for source in (ROOT / package).rglob("*.py"):
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    return tmp_path


def broken(directory: Path) -> tuple[int, list[str]]:
    """The exit code of the build's check, and the contracts that it finds broken."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    states = dict(STATE.findall(run.stdout))
    assert set(states) == {APPS, PURE_CORE, SERVER, AIOHTTP, LIMITER, CORE, LIVE, PLATFORM, *FEATURES.values()}, (
        run.stdout + run.stderr
    )
    return run.returncode, [name for name, state in states.items() if state == "BROKEN"]


def test_the_code_keeps_every_layer(copy: Path) -> None:
    assert broken(copy) == (0, [])


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("tenants/planted.py", "import limiter.core.types", APPS),
        ("limiter/core/types.py", "import django.conf", PURE_CORE),
        ("quota_platform/server/streaming.py", "import limiter.upstream.errors", SERVER),
        ("limiter/upstream/errors.py", "import aiohttp", AIOHTTP),
        ("limiter/clients.py", "import limiter.gateway.gate", LIMITER),
        ("limiter/policies/advice.py", "import limiter.live.queries", LIMITER),
        ("limiter/live/loader.py", "import limiter.record.models", LIMITER),
        ("limiter/policies/plan.py", "import limiter.policies.admin.policy", FEATURES["policies"]),
        ("limiter/record/models/event.py", "import limiter.record.chain", FEATURES["record"]),
        ("limiter/alerts/posting.py", "import limiter.alerts.api.hooks", FEATURES["alerts"]),
        ("limiter/reports/build.py", "import limiter.reports.tasks", FEATURES["reports"]),
        ("limiter/reports/unlisted.py", "", FEATURES["reports"]),
        ("limiter/live/queries.py", "import limiter.live.cache", LIVE),
        ("quota_platform/server/guard.py", "import quota_platform.sandbox.counters", PLATFORM),
        ("quota_platform/sandbox/state.py", "import quota_platform.server.guard", PLATFORM),
        ("limiter/core/keys.py", "import limiter.core.window", CORE),
        ("limiter/core/unlisted.py", "", CORE),
    ],
)
def test_an_import_against_a_layer_fails_the_build(copy: Path, module: str, planted: str, contract: str) -> None:
    spoilt = copy / module
    before = spoilt.read_text() if spoilt.exists() else ""
    spoilt.write_text(f"{before}\n{planted}\n")
    assert broken(copy) == (1, [contract])
