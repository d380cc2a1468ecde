"""A platform with many tenants, to be measured: started with all that it needs, and stopped."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil
import psycopg

from quota_platform import roles
from quota_platform.embedded import free_port
from quota_platform.env import BASE_DIR
from tests.bench import processes
from tests.bench.contenders import gateway
from tests.bench.contenders.contender import Rig, web
from tests.bench.load import Target
from tests.bench.processes import Server
from tests.bench.stage import rigged
from tests.postgres import impatient_postgres

MB = 1024 * 1024


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

    def not_for_calls(self) -> list[psutil.Process]:
        """The pages worker, Celery and the database."""
        some = [self.pages_worker(), *(each.family()[0] for each in self.celery if each.family())]
        return [*some, self.postmaster] if self.postmaster else some

    def pages_worker(self) -> psutil.Process:
        """Raises RuntimeError when there is none: pages would be served where calls are."""
        found = processes.pages_worker(self.server.family()[0])
        if found is None:
            raise RuntimeError(f"no process serves pages alone:\n{self.server.output()}")
        return found


@contextlib.contextmanager
def running(tenants: int, *, database: str) -> Iterator[Platform]:
    """``database``: postgresql or sqlite."""
    with contextlib.ExitStack() as stack:
        rig, _, _ = rigged(stack)
        env = gateway.environment(rig) | {"PAGES_WORKERS": "1"}
        if database == "postgresql":
            env["DATABASE_URL"] = stack.enter_context(impatient_postgres())
        sessions, tokens = _seeded(rig, env, tenants)
        say("rows made")
        celery = [
            _celery(stack, rig, env, name, line) for name, line in (("worker", roles.worker()), ("beat", roles.beat()))
        ]
        web_port, log = free_port(), rig.directory / "web.log"
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
    say(f"making {tenants:,} tenants")
    lines = run_inside(rig, env, f"from tests.bench.scale import seed; seed.main({rig.upstream_port}, {tenants})")
    return json.loads(lines[-2]), json.loads(lines[-1])


def run_inside(rig: Rig, env: Mapping[str, str], code: str) -> list[str]:
    """The lines that this code prints in a process of the platform's settings."""
    line = [sys.executable, "-c", f"import django; django.setup(); {code}"]
    done = subprocess.run(
        line, env={**rig.environment(), **env}, cwd=BASE_DIR, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"it failed:\n{done.stderr[-3000:]}")
    return done.stdout.splitlines()


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)
