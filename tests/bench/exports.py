"""How long an export takes and how much memory: `python -m tests.bench.exports [EVENTS]`, by default 1,000,000."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import tests.environment  # noqa: F401  settings of their own, an empty database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "quota_platform.settings")
START = datetime(2030, 5, 2, tzinfo=UTC)
_BATCH = 5_000


def main(count: int) -> None:
    """Seed, then write each format in a process of its own, so that its peak of memory is its own."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _seed(count)
    for format in ("csv.gz", "jsonl", "xlsx"):
        child = os.fork()
        if child == 0:
            _measure(format)
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


def _measure(format: str) -> None:
    from django.db import connections

    from limiter.reports import build, sources
    from limiter.reports.selection import Selection

    connections.close_all()
    chosen = Selection(kind="events", since=START, until=START + timedelta(days=1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"events.{format}"
        began = time.perf_counter()
        rows = build.write(path, chosen, format=format, rows=sources.rows(chosen))
        took, size = time.perf_counter() - began, path.stat().st_size / 1e6
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{format}: {rows:,} events in {took:.1f} s, {size:.1f} MB, RSS {rss:.0f} MB", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
