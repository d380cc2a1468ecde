"""Callers beside nobody and beside people who page, on shared processors and on separate ones."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from quota_platform.env import BASE_DIR
from tests.bench import load, open_loop
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.scale import apart, pages, readers
from tests.bench.scale.platform import MB, Platform

CALLERS, CALLS_PER_S = 64, 150.0


def measured(platform: Platform, *, seconds: float) -> Findings:
    alone = _called(platform, seconds)
    among, seen = _called_among_people(platform, seconds)
    with apart.apart(platform.not_for_calls()) as as_other:
        alone_apart = _called(platform, seconds)
        among_apart, _ = _called_among_people(platform, seconds, prepare=as_other)
    how = (
        f"{CALLS_PER_S:.0f} calls/s of {len(platform.tokens):,} tenants over {CALLERS} connections,"
        f" {seconds:.0f} s each. {len(platform.sessions)} people open a page a second each"
        f" ({seen['pages']} pages, {seen['failed']} failed), half of them with an overview open"
        f" ({seen['frames']} frames, {seen['frame_bytes'] / MB:.1f} MB; {seen['closed']} closed by the server and"
        " opened again). In the last"
        " two rows the callers, the worker for calls, the store and the upstream have one processor; the pages"
        " worker, the database, Celery and the people have the other."
    )
    columns = ("Calls", "p50", "p99", "not answered", "web processes, of a core")
    rows = [_line("alone", *alone), _line("while people page", *among)]
    rows += [_line("alone, apart", *alone_apart), _line("while people page, apart", *among_apart)]
    compared = (
        ("beside that without", among, alone),
        ("beside that without, pages on a processor of their own", among_apart, alone_apart),
    )
    goals = [
        Reach(f"a caller's p99 while ten people page, {than}", _p99(these) / _p99(those), 1.2, TIMES, most=True)
        for than, these, those in compared
    ]
    slow = sorted(seen["slow"].items(), key=lambda each: -each[1])[:8]
    waits = Table("The longest waits of those people", "", ("Page", "ms"), [[name, f"{ms:.0f}"] for name, ms in slow])
    return Findings([Table("Callers while people page", how, columns, rows), waits], goals)


def _called_among_people(
    platform: Platform, seconds: float, *, prepare: Callable[[], None] | None = None
) -> tuple[tuple[open_loop.Offered, float], dict[str, Any]]:
    """``prepare``: run in the people's process before they begin."""
    paths = [each.path for each in pages.visits()]
    task = readers.Task(platform.server.port, list(platform.sessions), paths, seconds + 10)
    command, pipe = [sys.executable, "-m", "tests.bench.scale.readers"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=BASE_DIR, preexec_fn=prepare) as people:
        assert people.stdin is not None
        people.stdin.write(json.dumps(dataclasses.asdict(task)) + "\n")
        people.stdin.close()
        load.run(platform.target(), connections=4, seconds=5)
        among = _called(platform, seconds)
        seen: dict[str, Any] = json.loads(people.stdout.read() if people.stdout else "{}")
    return among, seen


def _called(platform: Platform, seconds: float) -> tuple[open_loop.Offered, float]:
    before = platform.server.cpu_s()
    seen = open_loop.run(platform.target(), per_second=CALLS_PER_S, seconds=seconds, most=CALLERS)
    seen.latencies_ms += seen.turned_away_ms
    return seen, (platform.server.cpu_s() - before) / seconds


def _p99(called: tuple[open_loop.Offered, float]) -> float:
    return called[0].percentile_ms(99)


def _line(name: str, seen: open_loop.Offered, share: float) -> list[str]:
    missing = seen.broken + seen.unsent
    p50, p99 = seen.percentile_ms(50), seen.percentile_ms(99)
    return [name, f"{p50:.1f} ms", f"{p99:.1f} ms", f"{missing}", f"{100 * share:.0f} %"]
