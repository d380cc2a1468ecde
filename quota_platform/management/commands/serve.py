"""``serve``: the web server as the demo, the image and the benchmarks run it."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser


def command(*, host: str, port: int, workers: int) -> list[str]:
    """Granian's command line.

    The backlog and the back-pressure are set wide open: the gateway bounds what it holds itself, and a call that
    waits for a slow upstream must not keep the next one from being refused. A worker that dies is started again.
    """
    return [
        sys.executable,
        *("-m", "granian"),
        *("--interface", "asgi"),
        *("--loop", "uvloop"),
        *("--host", host),
        *("--port", str(port)),
        *("--workers", str(workers)),
        *("--backlog", "4096"),
        *("--backpressure", "4096"),
        *("--http1-header-read-timeout", "10000"),
        "--respawn-failed-workers",
        *("--workers-kill-timeout", "5"),
        *("--log-level", "warning"),
        "quota_platform.asgi:application",
    ]


class Command(BaseCommand):
    help = "Run the web server; WEB_WORKERS says with how many processes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        line = command(host=options["host"], port=options["port"], workers=settings.ENV.WEB_WORKERS)
        os.execv(line[0], line)
