"""How long an export of all events takes and how much memory.

Run as ``python -m tests.bench.exports <events>`` it is the process that seeds a database of its own and exports it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from quota_platform.env import BASE_DIR
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.stage import Stage

START = datetime(2030, 5, 2, tzinfo=UTC)
_EVENTS = {"full": 1_000_000, "quick": 20_000}
_GOALS_S = {"csv.gz": 60, "xlsx": 180}
"""For a million events."""
_FORMATS = ("csv.gz", "jsonl", "xlsx")
_BATCH = 5_000


def measure(stage: Stage, effort: Effort) -> Findings:
    events = _EVENTS[effort.name]
    command = [sys.executable, "-m", "tests.bench.exports", str(events)]
    done = subprocess.run(command, cwd=BASE_DIR, check=True, stdout=subprocess.PIPE, text=True)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    rows = [[each["format"], *(f"{each[name]:.0f}" for name in ("seconds", "file_mb", "rss_mb"))] for each in found]
    how = f"{events:,} events of 50 tenants, each format written by a process of its own, from SQLite."
    columns = ("format", "s", "file, MB", "memory, MB")
    return Findings(tables=[Table("Exports", how, columns, rows)], reaches=list(_reaches(events, found)))


def _reaches(events: int, found: list[dict[str, Any]]) -> Iterator[Reach]:
    """Goals of time are for the full number: a small export is mostly the start of its process."""
    for each in found:
        if each["format"] in _GOALS_S and events == _EVENTS["full"]:
            what = f"{events:,} events as {each['format']}"
            yield Reach(what, each["seconds"], _GOALS_S[each["format"]], "s", most=True)
    yield Reach("memory of an export, most", max(each["rss_mb"] for each in found), 200, "MB", most=True)


def _main(count: int) -> None:
    """Seed, then write each format in a process of its own, so that its peak of memory is its own."""
    import django

    import tests.environment  # noqa: F401  settings of their own, an empty database

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _seed(count)
    for format in _FORMATS:
        child = os.fork()
        if child == 0:
            print(json.dumps(_export(format)), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


def _seed(count: int) -> None:
    from limiter.models import ThrottleEvent

    for first in range(0, count, _BATCH):
        ThrottleEvent.objects.bulk_create(
            ThrottleEvent(
                stream_id=f"1-{number}",
                at=START + timedelta(milliseconds=number),
                tenant_id=f"tenant-{number % 50}",
                action_id="lookupOrder",
                key_prefix="abcdefghijkl",
                request_id=f"request-{number}",
                decision_id=f"decision-{number}",
                policy_name="Base",
                policy_version=1,
                limit_name="minute",
                used=100,
                quota=100,
                effective_limit=62,
                multiplier=0.62,
                cost=1,
                retry_after_ms=640.5,
            )
            for number in range(first, min(first + _BATCH, count))
        )


def _export(format: str) -> dict[str, Any]:
    from django.db import connections

    from limiter.reports import build, sources
    from limiter.reports.selection import Selection

    connections.close_all()
    chosen = Selection(kind="events", since=START, until=START + timedelta(days=1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"events.{format}"
        began = time.perf_counter()
        build.write(path, chosen, format=format, rows=sources.rows(chosen))
        seconds, size = time.perf_counter() - began, path.stat().st_size
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"format": format, "seconds": seconds, "file_mb": size / 1e6, "rss_mb": rss}


if __name__ == "__main__":
    _main(int(sys.argv[1]))
