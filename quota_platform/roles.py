"""The processes a deployment is made of, as command lines: the same for the demo, the image and a service manager."""

from __future__ import annotations

import sys
from collections.abc import Callable

from quota_platform.env import BASE_DIR

MANAGE = [sys.executable, str(BASE_DIR / "manage.py")]

HEALTHCHECK_S = 60
"""How long a web process may take to start, or to respond to uvicorn, before that replaces it. On a machine that is
short of processors five seconds, as uvicorn has it, would end one that works, with the calls that it serves."""


def web(*, workers: int, pages_workers: int, stop_grace_s: int = 310) -> list[str]:
    """The web server: uvicorn, reading its callers by our own protocol.

    ``pages_workers``: as the processes will find it in the setting PAGES_WORKERS, since each of them decides by that
    whether it is one; they are all started alike, and one that dies is started again.
    ``stop_grace_s``: how long running calls may take to end once the listener is closed.

    Nothing bounds the calls in flight here: the gateway bounds its own, and a call that waits for a slow
    upstream must not keep the next one from being refused.
    """
    return [
        sys.executable,
        *("-m", "uvicorn"),
        *("--http", "quota_platform.server.moving:MovingHttp1"),
        *("--ws", "quota_platform.server.websocket:Websocket"),
        *("--ws-per-message-deflate", "false", "--ws-max-size", "65536"),
        *("--loop", "quota_platform.server.loop:Loop"),
        *("--lifespan", "on"),
        *("--workers", str(workers + pages_workers)),
        *("--backlog", "4096"),
        *("--timeout-graceful-shutdown", str(stop_grace_s)),
        *("--timeout-worker-healthcheck", str(HEALTHCHECK_S)),
        *("--no-proxy-headers", "--no-server-header", "--no-access-log"),
        *("--log-level", "warning"),
        "quota_platform.asgi:application",
    ]


def worker() -> list[str]:
    """Celery's worker: stores refusals and usage, builds reports. Start as many as there is work for."""
    return _celery("worker", "--without-gossip", "--without-mingle")


def beat() -> list[str]:
    """Celery's clock. Exactly one per deployment."""
    return _celery("beat")


def migrate() -> list[str]:
    """Brings the database up to date; before the others, at every release.

    Without Django's checks: some of them ask tables that this is about to make.
    """
    return [*MANAGE, "migrate", "--no-input", "--skip-checks"]


def sandbox() -> list[str]:
    """The stand-in for CXone. Never in production."""
    return [*MANAGE, "cxone_sandbox"]


PLAIN: dict[str, Callable[[], list[str]]] = {"worker": worker, "beat": beat, "migrate": migrate, "sandbox": sandbox}


def command(role: str, arguments: list[str], *, workers: int, pages_workers: int, stop_grace_s: int = 310) -> list[str]:
    """The command line of a role; ``arguments`` are added to it. Any other name is one of ``manage.py``'s commands."""
    if role == "web":
        return [*web(workers=workers, pages_workers=pages_workers, stop_grace_s=stop_grace_s), *arguments]
    if role in PLAIN:
        return [*PLAIN[role](), *arguments]
    return [*MANAGE, role, *arguments]


def _celery(kind: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-q", "-A", "quota_platform", kind, "--loglevel", "WARNING", *arguments]
