"""How pages, callers and periodic tasks fare with many tenants: ``python -m tests.bench.tenants_at_scale``, 100,000.

Starts a PostgreSQL (or ``--database sqlite``), a store, an upstream, a web worker for calls and one for pages, Celery
and Chromium of its own.
Writes its section of docs/scale.md; see ``--help``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from quota_platform import roles
from quota_platform.embedded import free_port, start_valkey
from quota_platform.env import BASE_DIR
from tests.bench import load, machine, open_loop, processes, report
from tests.bench.contenders import gateway
from tests.bench.contenders.contender import Rig, web
from tests.bench.findings import TIMES, Findings, Reach, Table
from tests.bench.load import Target
from tests.bench.processes import Server
from tests.bench.scale import pages, readers, rivals
from tests.bench.scale.pages import Opened
from tests.postgres import impatient_postgres

DOCUMENT = BASE_DIR / "docs" / "scale.md"
CALLERS, CALLS_PER_S = 64, 150.0
MB = 1024 * 1024
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


@dataclass(frozen=True, slots=True)
class Platform:
    """One that runs, with its people and keys."""

    rig: Rig
    env: Mapping[str, str]
    server: Server
    celery: Sequence[Server]
    tokens: Sequence[str]
    sessions: Sequence[str]
    postmaster: psutil.Process | None

    def target(self, some: int | None = None) -> Target:
        """The callers: every active tenant in turn."""
        each = [{"X-API-Key": token} for token in self.tokens[:some]]
        return Target(self.server.port, "/invoke/instant", each=each)

    def database_cpu_s(self) -> float:
        """Processor seconds that the database's processes have used; 0 for one that is a part of the worker."""
        if self.postmaster is None:
            return 0.0
        own = self.postmaster.cpu_times()
        ended = own.user + own.system + own.children_user + own.children_system
        return float(ended + sum(_cpu_s(each) for each in self.postmaster.children()))

    def memory_mb(self) -> float:
        """What the worker that serves pages holds."""
        return float(self.pages_worker().memory_info().rss / MB)

    def pages_worker(self) -> psutil.Process:
        """Raises RuntimeError when there is none: pages would be served where calls are."""
        found = processes.pages_worker(self.server.family()[0])
        if found is None:
            raise RuntimeError(f"no process serves pages alone:\n{self.server.output()}")
        return found


def main() -> None:
    arguments = _arguments()
    facts, before = machine.facts(), machine.load()
    facts |= {"Load before (1, 5, 15 min)": before, "Database": arguments.database}
    order = [f"{database}_{part}" for database in DATABASES for part in PARTS]
    with _platform(arguments) as platform:
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


@contextlib.contextmanager
def _platform(arguments: argparse.Namespace) -> Iterator[Platform]:
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quota-scale-")))
        valkey = start_valkey(directory=directory / "valkey")
        stack.callback(valkey.stop)
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.upstream", str(port)]
        upstream = Server("upstream", command, port=port, log=directory / "upstream.log")
        stack.callback(upstream.stop)
        rig = Rig(redis_url=valkey.url, upstream_port=port, directory=directory)
        env = gateway.environment(rig) | {"PAGES_WORKERS": "1"}
        if arguments.database == "postgresql":
            env["DATABASE_URL"] = stack.enter_context(impatient_postgres())
        sessions, tokens = _seeded(rig, env, arguments.tenants)
        _say("rows made")
        celery = [
            _celery(stack, rig, env, name, line) for name, line in (("worker", roles.worker()), ("beat", roles.beat()))
        ]
        web_port, log = free_port(), directory / "web.log"
        line = web(gateway.APPLICATION, port=web_port, pages_workers=1)
        server = Server("web", line, port=web_port, log=log, env=env)
        stack.callback(server.stop)
        server.wait_until_listening()
        _until_pages_have_a_worker(server)
        yield Platform(rig, env, server, celery, tokens, sessions, _postmaster(env["DATABASE_URL"]))


def _until_pages_have_a_worker(server: Server) -> None:
    while server.family() and processes.pages_worker(server.family()[0]) is None:
        time.sleep(0.1)


def _postmaster(url: str) -> psutil.Process | None:
    if url.startswith("sqlite"):
        return None
    with psycopg.connect(url) as link:
        return psutil.Process(link.info.backend_pid).parent()


def _cpu_s(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _celery(stack: contextlib.ExitStack, rig: Rig, env: Mapping[str, str], name: str, line: list[str]) -> Server:
    log = rig.directory / f"{name}.log"
    place = ["--schedule", str(rig.directory / "beat")] if name == "beat" else ["--concurrency", "1"]
    server = Server(name, [*line, *place], port=0, log=log, env=env)
    stack.callback(server.stop)
    return server


def _seeded(rig: Rig, env: Mapping[str, str], tenants: int) -> tuple[list[str], list[str]]:
    _say(f"making {tenants:,} tenants")
    lines = _run(rig, env, f"from tests.bench.scale import seed; seed.main({rig.upstream_port}, {tenants})")
    return json.loads(lines[-2]), json.loads(lines[-1])


def _run(rig: Rig, env: Mapping[str, str], code: str) -> list[str]:
    """The lines that this code prints in a process of the platform's settings."""
    line = [sys.executable, "-c", f"import django; django.setup(); {code}"]
    done = subprocess.run(
        line, env={**rig.environment(), **env}, cwd=BASE_DIR, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"it failed:\n{done.stderr[-3000:]}")
    return done.stdout.splitlines()


def _measured(platform: Platform, arguments: argparse.Namespace) -> Iterator[tuple[str, Findings]]:
    warm = load.run(platform.target(), connections=16, seconds=300, most=2 * len(platform.tokens))
    _say(f"{warm.answered:,} calls of {len(platform.tokens):,} tenants: {dict(warm.statuses)}")
    for part, measure in zip(PARTS, (_pages, _callers, _tasks), strict=True):
        if part in arguments.parts:
            _say(part)
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
        _say(f"{each.visit.name}: {each.painted_ms:.0f} ms, {each.complete_ms:.0f} ms {each.fault}")
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
    alone = _called(platform, arguments.seconds)
    with rivals.computing():
        beside = _called(platform, arguments.seconds)
    paths = [each.path for each in pages.visits()]
    task = readers.Task(platform.server.port, list(platform.sessions), paths, arguments.seconds + 10)
    command, pipe = [sys.executable, "-m", "tests.bench.scale.readers"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=BASE_DIR) as people:
        assert people.stdin is not None
        people.stdin.write(json.dumps(dataclasses.asdict(task)) + "\n")
        people.stdin.close()
        load.run(platform.target(), connections=4, seconds=5)
        among = _called(platform, arguments.seconds)
        seen = json.loads(people.stdout.read() if people.stdout else "{}")
    how = (
        f"{CALLS_PER_S:.0f} calls/s of {len(platform.tokens):,} tenants over {CALLERS} connections,"
        f" {arguments.seconds:.0f} s each. {len(platform.sessions)} people open a page a second each"
        f" ({seen['pages']} pages, {seen['failed']} failed), half of them with an overview open"
        f" ({seen['frames']} frames, {seen['frame_bytes'] / MB:.1f} MB). In the second row"
        " nobody pages, and one process for each processor computes at the lowest priority (SCHED_IDLE)."
    )
    columns = ("Calls", "p50", "p99", "not answered", "web processes, of a core")
    rows = [_line("alone", *alone), _line("beside idle-class work", *beside), _line("while people page", *among)]
    goals = [
        Reach(f"a caller's p99 while ten people page, {than}", _p99(among) / _p99(those), 1.2, TIMES, most=True)
        for than, those in (("beside that without", alone), ("beside that of a busy machine", beside))
    ]
    slow = sorted(seen["slow"].items(), key=lambda each: -each[1])[:8]
    waits = Table("The longest waits of those people", "", ("Page", "ms"), [[name, f"{ms:.0f}"] for name, ms in slow])
    return Findings([Table("Callers while people page", how, columns, rows), waits], goals)


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


def _tasks(platform: Platform, arguments: argparse.Namespace) -> Findings:
    for each in platform.celery:
        each.stop()
    (*_, text) = _run(platform.rig, platform.env, "from tests.bench.scale import tasks; tasks.main()")
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


def _say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
