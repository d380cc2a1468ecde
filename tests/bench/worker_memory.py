"""What a tenant and an API key weigh in a worker, weighed in a process of its own that has Django's models."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from quota_platform.env import BASE_DIR
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Table
from tests.bench.stage import Stage

ACTIONS = (1, 10, 50)
_WEIGH = (
    "import dataclasses, json, sys, django; django.setup();"
    "from tests.bench.memory_per_tenant import weigh, weigh_key;"
    "weights = [dataclasses.asdict(weigh(actions=int(one), tenants=int(sys.argv[1]))) for one in sys.argv[2:]];"
    "print(json.dumps([weights, weigh_key()]))"
)


def measure(stage: Stage, effort: Effort) -> Findings:
    done = subprocess.run(
        [sys.executable, "-c", _WEIGH, str(effort.weighed_tenants), *map(str, ACTIONS)],
        cwd=BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.static_settings"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the weighing failed:\n{done.stderr[-2000:]}")
    weights, key = json.loads(done.stdout.splitlines()[-1])
    rows = [[_tenant(one["actions"]), f"{one['loaded']:,.0f}", f"{one['called']:,.0f}"] for one in weights]
    how = "Bytes that Python's allocator hands out, as held from the shared cache; then after each action's first call."
    columns = ("Held by a worker", "bytes when loaded", "bytes when all actions were called")
    return Findings(
        tables=[Table("Memory per tenant in a worker", how, columns, [*rows, ["API key", f"{key:,.0f}", ""]])]
    )


def _tenant(actions: int) -> str:
    return f"tenant with {actions} action" + ("s" if actions > 1 else "")
