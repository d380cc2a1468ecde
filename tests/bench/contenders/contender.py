"""A contender: its name, its server, and where its allowed and refused calls go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quota_platform import roles
from quota_platform.embedded import free_port
from tests.bench.load import Target
from tests.bench.processes import Server

ALLOWED, REFUSED = "allowed", "refused"
AMPLE = 1_000_000
"""A limit that no run of the bench reaches within its minute."""


@dataclass(frozen=True, slots=True)
class Rig:
    """What all contenders stand on. ``directory``: for logs and files of this run."""

    redis_url: str
    upstream_port: int
    directory: Path

    def environment(self) -> dict[str, str]:
        """The caller's environment, and where the rig's parts listen."""
        return {
            **os.environ,
            "BENCH_REDIS_URL": self.redis_url,
            "BENCH_UPSTREAM": f"http://127.0.0.1:{self.upstream_port}",
            "BENCH_AMPLE": str(AMPLE),
        }


@dataclass(frozen=True, slots=True)
class Contender:
    """One running server. ``targets``: a target for each kind of call it can be asked."""

    name: str
    label: str
    server: Server
    targets: Mapping[str, Target]


def web(application: str, *, port: int, pages_workers: int = 0) -> list[str]:
    """The platform's own web server with one worker, for any ASGI application: the same for all written in Python.

    ``pages_workers``: beside it, for the platform itself, with the same number in its settings.
    """
    # Stock Django knows no lifespan; asked for it as the platform's own is, it would not start.
    asked = ("--host", "127.0.0.1", "--port", str(port), "--lifespan", "auto")
    return [*roles.web(workers=1, pages_workers=pages_workers)[:-1], *asked, application]


def in_python(rig: Rig, *, name: str, label: str, module: str) -> Contender:
    """Start an ASGI contender of this package that finds the rig in its environment."""
    port = free_port()
    server = Server(name, web(module, port=port), port=port, log=rig.directory / f"{name}.log", env=rig.environment())
    return Contender(name=name, label=label, server=server, targets=plain_targets(port))


def plain_targets(port: int) -> dict[str, Target]:
    """The paths of a contender that has no more than this bench asks for."""
    paths = {ALLOWED: "/invoke/instant", REFUSED: "/invoke/refused", "200 ms": "/invoke/delay-200"}
    return {kind: Target(port, path, {"X-Tenant-Id": "bench"}) for kind, path in paths.items()}


def which(name: str) -> str | None:
    """A program on the PATH or where system programs lie."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
