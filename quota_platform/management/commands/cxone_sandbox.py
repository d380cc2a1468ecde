"""Runs the CXone sandbox as a process of its own until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from django.core.management.base import BaseCommand, CommandError, CommandParser

from quota_platform.sandbox import Running, SandboxState, kept, serving
from quota_platform.sandbox.accounts import FIRST_UNIT
from quota_platform.sandbox.latency import PROFILES

ACCOUNT = re.compile(r"(?:(?P<unit>\d{7})/)?(?P<id>[^:,\s]+):(?P<secret>[^,\s]+)")


class Command(BaseCommand):
    help = "Run the CXone sandbox. Clients: SANDBOX_CLIENTS and SANDBOX_ACCESS_KEYS, [UNIT/]ID:SECRET, comma separated."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8801)
        parser.add_argument("--seed", type=int, help="makes latencies and rates repeatable")
        parser.add_argument("--profile", choices=sorted(PROFILES), default="fast", help="latency of invocations")
        parser.add_argument("--token-profile", choices=sorted(PROFILES), default="token", help="latency of tokens")
        parser.add_argument(
            "--log-size", type=int, default=1000, help="entries the request log keeps; 0 for benchmarks"
        )
        parser.add_argument(
            "--accounts",
            type=Path,
            metavar="FILE",
            help="keeps added accounts for the next start",
        )
        parser.add_argument("--client", action="append", default=[], metavar="[UNIT/]ID:SECRET")
        parser.add_argument("--access-key", action="append", default=[], metavar="[UNIT/]ID:SECRET")

    def handle(self, *args: Any, **options: Any) -> None:
        clients = options["client"] + _listed("SANDBOX_CLIENTS")
        access_keys = options["access_key"] + _listed("SANDBOX_ACCESS_KEYS")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(options, clients=clients, access_keys=access_keys))

    async def _serve(self, options: dict[str, Any], *, clients: list[str], access_keys: list[str]) -> None:
        state = SandboxState(
            profile=options["profile"],
            token_profile=options["token_profile"],
            seed=options["seed"],
            log_size=options["log_size"],
        )
        if options["accounts"]:
            _restore(state, options["accounts"])
        for text in clients:
            _register(text, state.accounts.add_client)
        for text in access_keys:
            _register(text, state.accounts.add_access_key)
        if not state.accounts.clients and not state.accounts.access_keys:
            self._invent_client(state)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with serving(state, host=options["host"], port=options["port"]) as sandbox:
            self._greet(sandbox)
            await stop.wait()

    def _invent_client(self, state: SandboxState) -> None:
        secret = secrets.token_urlsafe(24)
        state.accounts.add_client("sandbox-client", secret=secret)
        self.stdout.write(f"No client was given. Use client id sandbox-client, secret {secret}")

    def _greet(self, sandbox: Running) -> None:
        self.stdout.write(f"Sandbox: {sandbox.base_url}")
        self.stdout.write(f"Control: {sandbox.control_url}/")
        self.stdout.flush()


def _restore(state: SandboxState, path: Path) -> None:
    try:
        kept.restore(state.accounts, path)
    except kept.AccountsUnreadable as error:
        raise CommandError(str(error)) from None


def _listed(name: str) -> list[str]:
    return [part for part in os.environ.get(name, "").split(",") if part]


def _register(text: str, add: Callable[..., object]) -> None:
    match = ACCOUNT.fullmatch(text.strip())
    if match is None:
        # The text is not repeated: it may hold a secret.
        raise CommandError("A client or access key is not of the form [UNIT/]ID:SECRET (UNIT has 7 digits).")
    add(match["id"], secret=match["secret"], unit=int(match["unit"] or FIRST_UNIT))
