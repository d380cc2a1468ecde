"""What 500 people who watch one tenant cost a worker, how soon a call shows, and what a page weighs when it opens."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from quota_platform.embedded import free_port
from quota_platform.env import BASE_DIR
from tests.bench.audience import Task
from tests.bench.contenders import gateway
from tests.bench.contenders.contender import Rig, web
from tests.bench.effort import Effort
from tests.bench.findings import Findings, Reach, Table
from tests.bench.load import percentile
from tests.bench.processes import Server
from tests.bench.stage import Stage

VIEWERS = 500
CALLS_PER_S = 20.0
MB = 1024 * 1024
LOADS = 5
PAGES = {"overview": "/dashboard/", "tenant": "/dashboard/tenants/ample/"}


@dataclass(frozen=True, slots=True)
class Worker:
    """A gateway of this measurement's own, and who may look at it."""

    server: Server
    token: str
    sessions: list[str]


@dataclass(frozen=True, slots=True)
class Watched:
    """One run: the frames seen, the worker's share of a core, and its memory before and after."""

    seen: Mapping[str, Any]
    share: float
    memory_mb: tuple[float, float]


def measure(stage: Stage, effort: Effort) -> Findings:
    with _worker(stage.rig) as worker:
        runs = {viewers: _watch(worker, viewers=viewers, effort=effort) for viewers in (0, 1, VIEWERS)}
        opened, notes = _open(worker)
    share = runs[VIEWERS].share - runs[0].share
    late = percentile(runs[VIEWERS].seen["late_ms"], 95)
    growth = runs[VIEWERS].memory_mb[1] - runs[VIEWERS].memory_mb[0]
    how = (
        f"Real websockets, everybody on one tenant's page, {CALLS_PER_S:.0f} calls/s meanwhile,"
        f" {effort.viewers_seconds:.0f} s. Late: from a call's answer to the frame that holds it."
    )
    columns = (
        "Viewers",
        "share of a core",
        "frames/s",
        "bytes, whole",
        "bytes, delta",
        "late p50",
        "p95",
        "a call p99",
        "memory",
    )
    goals = [
        Reach(f"{VIEWERS} viewers of one tenant, share of a core", 100 * share, 15, "%", most=True),
        Reach("the same, growth of the worker's memory meanwhile", growth, 10, "MB", most=True),
        Reach("the same, call answered to visible, p95", late, 1500, "ms", most=True),
    ]
    tables = [Table("Live pages", how, columns, [_row(viewers, run, effort) for viewers, run in runs.items()])]
    return Findings(tables=[*tables, *opened.tables], reaches=[*goals, *opened.reaches], notes=notes)


@contextlib.contextmanager
def _worker(rig: Rig) -> Iterator[Worker]:
    directory = rig.directory / "viewers"
    directory.mkdir()
    # A database of the store for itself: two deployments in one would read each other's tenants and sealed secrets.
    own = dataclasses.replace(rig, directory=directory, redis_url=f"{rig.redis_url.removesuffix('/0')}/1")
    port, env = free_port(), gateway.environment(own)
    tokens, sessions = gateway.make(own, env, f"rows.main({rig.upstream_port})", f"people.main({VIEWERS})")
    server = Server(
        "viewed gateway", web(gateway.APPLICATION, port=port), port=port, log=directory / "gateway.log", env=env
    )
    try:
        server.wait_until_listening()
        yield Worker(server, tokens["ample"], sessions)
    finally:
        server.stop()


def _watch(worker: Worker, *, viewers: int, effort: Effort) -> Watched:
    task = Task(
        port=worker.server.port,
        sessions=worker.sessions[:viewers],
        tenant_id="ample",
        row="ample||day",
        path="/invoke/instant",
        headers={"X-API-Key": worker.token},
        calls_per_s=CALLS_PER_S,
        seconds=effort.viewers_seconds,
    )
    command = [sys.executable, "-m", "tests.bench.audience"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=BASE_DIR) as audience:
        assert audience.stdin is not None
        assert audience.stdout is not None
        audience.stdin.write(json.dumps(dataclasses.asdict(task)) + "\n")
        audience.stdin.flush()
        if audience.stdout.readline() != "ready\n":
            raise RuntimeError("the audience did not take its seats")
        before, memory = worker.server.cpu_s(), _memory_mb(worker.server)
        data = audience.stdout.readline()
        used = worker.server.cpu_s() - before
    return Watched(json.loads(data), used / effort.viewers_seconds, (memory, _memory_mb(worker.server)))


def _memory_mb(server: Server) -> float:
    """What the largest of its processes, the worker, holds now."""
    held = [0.0]
    for process in server.family():
        with contextlib.suppress(psutil.NoSuchProcess):
            held.append(process.memory_info().rss / MB)
    return max(held)


def _row(viewers: int, run: Watched, effort: Effort) -> list[str]:
    frames, size, late = run.seen["frames"], run.seen["bytes"], run.seen["late_ms"]
    each = {kind: f"{size[kind] / frames[kind]:,.0f}" if frames[kind] else "" for kind in ("full", "delta")}
    troubles = run.seen["failed"] + run.seen["closed"] + run.seen["gaps"]
    return [
        f"{viewers}" + (f" ({troubles} calls failed, pages closed or gaps)" if troubles else ""),
        f"{100 * run.share:.1f} %",
        f"{frames['delta'] / effort.viewers_seconds:,.0f}",
        each["full"],
        each["delta"],
        f"{percentile(late, 50):,.0f} ms" if late else "",
        f"{percentile(late, 95):,.0f} ms" if late else "",
        f"{percentile(run.seen['call_ms'], 99):.1f} ms",
        "{:.0f} → {:.0f} MB".format(*run.memory_mb),
    ]


def _open(worker: Worker) -> tuple[Findings, list[str]]:
    """Open the pages in Chromium with an empty cache: when something is painted first, and what comes over the line."""
    try:
        from playwright.sync_api import Error, sync_playwright

        from tests.browser.conftest import CHROMIUM, FLAGS
    except ImportError:
        return Findings(), ["first paint: Playwright is not installed."]
    if CHROMIUM is None:
        return Findings(), ["first paint: Chromium is not installed (Debian: chromium)."]
    rows, worst_ms, heaviest = [], 0.0, 0.0
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for name, path in PAGES.items():
                paints, weights = zip(*(_load(browser, worker, path) for _ in range(LOADS)), strict=True)
                paint, (plain, packed) = statistics.median(paints), weights[-1]
                rows.append([name, f"{paint:.0f} ms", f"{plain / 1024:.0f} KB", f"{packed / 1024:.0f} KB"])
                worst_ms, heaviest = max(worst_ms, paint), max(heaviest, packed / 1024)
            browser.close()
    except Error as error:
        return Findings(), [f"first paint: {str(error).splitlines()[0]}"]
    how = f"Chromium on the same machine, an empty cache each time, median of {LOADS}. Compressed: with gzip."
    table = Table("Opening a live page", how, ("Page", "first paint", "weight", "compressed"), rows)
    reaches = [
        Reach("live page, first contentful paint on localhost", worst_ms, 1000, "ms", most=True),
        Reach("live page, weight compressed", heaviest, 200, "KB", most=True),
    ]
    return Findings(tables=[table], reaches=reaches), []


def _load(browser: Any, worker: Worker, path: str) -> tuple[float, tuple[int, int]]:
    url = f"http://127.0.0.1:{worker.server.port}"
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "sessionid", "value": worker.sessions[0], "url": url}])
    page = context.new_page()
    responses: list[Any] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(url + path)
    page.locator("#table tbody tr").first.wait_for()
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    bodies = [response.body() for response in responses]
    context.close()
    return float(paint), (sum(map(len, bodies)), sum(len(gzip.compress(body)) for body in bodies))
