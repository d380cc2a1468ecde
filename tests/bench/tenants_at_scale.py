"""How pages, callers and periodic tasks fare with many tenants: ``python -m tests.bench.tenants_at_scale``, 100,000.

Starts a PostgreSQL (or ``--database sqlite``), a store, an upstream, a web worker for calls and one for pages, Celery
and Chromium of its own.
Writes its section of docs/scale.md; see ``--help``.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quota_platform.env import BASE_DIR
from tests.bench import load, machine, report
from tests.bench.findings import Findings, Reach, Table
from tests.bench.scale import callers, pages
from tests.bench.scale.pages import Opened
from tests.bench.scale.platform import Platform, run_inside, running, say

DOCUMENT = BASE_DIR / "docs" / "scale.md"
DATABASES = ("postgresql", "sqlite")
PARTS = ("pages", "callers", "tasks")
TASK_GOAL_MS = 1_000.0
_OF_MEMORY = ("overview", "tenants")
_STEPS = (
    "overview",
    "tenants, a late page",
    "incidents of a tenant",
    "admin, first page",
    "admin, limiter/throttleevent",
)
_COLUMNS = ("Page", "first paint", "its rows", "worker", "database", "HTML")


def main() -> None:
    arguments = _arguments()
    facts, before = machine.facts(), machine.load()
    facts |= {"Load before (1, 5, 15 min)": before, "Database": arguments.database}
    order = [f"{database}_{part}" for database in DATABASES for part in PARTS]
    with running(arguments.tenants, database=arguments.database) as platform:
        for part, found in _measured(platform, arguments):
            section = report.render(facts | {"Load after": machine.load()}, found)
            print(section, flush=True)
            if not arguments.dry:
                report.put(arguments.out, f"{arguments.database}_{part}", section, order=order)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tenants_at_scale", description=__doc__)
    parser.add_argument("--tenants", type=int, default=100_000)
    parser.add_argument("--database", choices=DATABASES, default="postgresql")
    parser.add_argument("--dry", action="store_true", help="print the report, write nothing")
    parser.add_argument("--out", type=Path, default=DOCUMENT, help="the document to write into")
    parser.add_argument("--seconds", type=float, default=30.0, help="of calls with people, and of calls without")
    parser.add_argument("--times", type=int, default=3, help="each page is opened so often")
    parser.add_argument("--pages", nargs="+", default=[], help="only pages whose names begin like these")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    return parser.parse_args()


def _measured(platform: Platform, arguments: argparse.Namespace) -> Iterator[tuple[str, Findings]]:
    warm = load.run(platform.target(), connections=16, seconds=300, most=2 * len(platform.tokens))
    say(f"{warm.answered:,} calls of {len(platform.tokens):,} tenants: {dict(warm.statuses)}")
    for part, measure in zip(PARTS, (_pages, _callers, _tasks), strict=True):
        if part in arguments.parts:
            say(part)
            yield part, measure(platform, arguments)


def _pages(platform: Platform, arguments: argparse.Namespace) -> Findings:
    # A page that reads no tenant: what every first page brings into memory does not count as theirs.
    urllib.request.urlopen(f"http://127.0.0.1:{platform.server.port}/accounts/sign-in/").read()
    seen, memory, before = [], [], platform.memory_mb()
    meters = [platform.server.cpu_s, platform.database_cpu_s]
    port, person = platform.server.port, platform.sessions[0]
    for each in pages.opened(port, person, times=arguments.times, meters=meters, only=arguments.pages):
        seen.append(each)
        memory.append((each.visit.name, platform.memory_mb()))
        say(f"{each.visit.name}: {each.painted_ms:.0f} ms, {each.complete_ms:.0f} ms {each.fault}")
    rows = [_row(each) for each in seen]
    how = (
        f"Chromium on the same machine, an empty cache each time, median of {arguments.times}; nobody calls meanwhile."
        " Worker and database: processor time for all that the page loads; other work on the machine does not raise it."
    )
    table = Table(f"Pages with {arguments.tenants:,} tenants", how, _COLUMNS, rows)
    live = [each.painted_ms for each in seen if each.visit.live]
    whole = [each.complete_ms for each in seen if each.visit.live]
    rest = [each.painted_ms for each in seen if not each.visit.live]
    goals = [("live pages, first paint of the slowest", live), ("live pages, rows of the slowest", whole)]
    goals.append(("admin, first paint of the slowest page", rest))
    reaches = [Reach(name, max(values), 1000, "ms", most=True) for name, values in goals if values]
    growth = max(mb for name, mb in memory if name.startswith(_OF_MEMORY)) - before
    reaches.append(Reach("overview and tenants, growth of the worker's memory", growth, 30, "MB", most=True))
    how = f"Of the worker that serves pages alone: {before:.0f} MB after the page to sign in."
    steps = [[name, f"{mb:.0f} MB"] for name, mb in memory if name in _STEPS]
    return Findings([table, Table("Memory of the worker after a page", how, ("Page", "memory"), steps)], reaches)


def _row(each: Opened) -> list[str]:
    if each.fault:
        return [each.visit.name, each.fault, "", "", "", ""]
    times = [each.painted_ms, each.complete_ms, *each.cpu_ms]
    return [each.visit.name, *(f"{time:.0f} ms" for time in times), f"{each.weight / 1024:.0f} KB"]


def _callers(platform: Platform, arguments: argparse.Namespace) -> Findings:
    return callers.measured(platform, seconds=arguments.seconds)


def _tasks(platform: Platform, arguments: argparse.Namespace) -> Findings:
    for each in platform.celery:
        each.stop()
    (*_, text) = run_inside(platform.rig, platform.env, "from tests.bench.scale import tasks; tasks.main()")
    found: list[dict[str, Any]] = json.loads(text)
    rows = [
        [
            each["task"],
            f"{each['ms']:.0f} ms",
            f"{each['cpu_ms']:.0f} ms",
            f"{each['queries']}",
            f"{each['grew_mb']:.0f} MB",
        ]
        for each in found
    ]
    how = "Each run once with nothing left to do but ten overrides that have just started."
    columns = ("Task", "time", "processor time", "queries", "memory")
    slowest = max(each["ms"] for each in found)
    goal = Reach("periodic task, time of the slowest when ten tenants changed", slowest, TASK_GOAL_MS, "ms", most=True)
    return Findings([Table("Periodic tasks", how, columns, rows)], [goal])


if __name__ == "__main__":
    main()
