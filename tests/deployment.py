"""A whole deployment in processes of its own, under a service manager that starts again what ended."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import psutil
import requests

from quota_platform.demo import __main__ as demo
from quota_platform.demo import environment, service
from quota_platform.demo.service import Service
from quota_platform.demo.settings import DemoSettings
from quota_platform.embedded import free_port, last_words
from tests.patience import HANG_S, patiently

_LOOKS_EVERY_S = 0.1

WEB_PROCESSES = 3
"""Two for calls and one for pages."""


class Deployment:
    """The demo's services, each started again when it ends, as compose or systemd would.

    The demo's own supervisor ends all of them when one ends.
    """

    def __init__(
        self, services: Sequence[Service], *, port: int, store_url: str, log: Path, unattended: Collection[str] = ()
    ) -> None:
        self.port, self.store_url = port, store_url
        self._unattended = unattended
        self._services = {each.name: each for each in services}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._changing = threading.Lock()
        self._log = log

    @classmethod
    @contextlib.contextmanager
    def of(cls, var: Path, *, database_url: str, unattended: Collection[str] = ()) -> Iterator[Deployment]:
        """Seeded and started, with a durable store, web processes and two that drain; all killed in the end.

        Services that are ``unattended`` have to go on by themselves: nobody starts them again.
        """
        settings = DemoSettings(
            PORT=free_port(),
            WEB_WORKERS=2,
            PAGES_WORKERS=WEB_PROCESSES - 2,
            DEMO_TRAFFIC=False,
            REDIS_URL="",
            DATABASE_URL=database_url,
            VAR_DIR=var,
        )
        var.mkdir()
        variables = environment.prepare(settings)
        demo.set_up(variables)
        services = [each for each in service.all_of(variables) if each.name != "welcome"]
        made = cls(
            services, port=settings.PORT, store_url=variables["REDIS_URL"], log=var / "log", unattended=unattended
        )
        for name in made._services:
            made._start(name)
        over = threading.Event()
        manager = threading.Thread(target=made._manage, args=(over,))
        manager.start()
        try:
            made._wait_until_it_serves()
            yield made
        finally:
            over.set()
            manager.join()
            made.kill(*made._running)

    def kill(self, *names: str) -> None:
        """``kill -9`` these with all their children, in this order. The manager starts them again."""
        for name in names:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running[name].pid, signal.SIGKILL)
            self._running[name].wait()

    def kill_a_child(self, name: str, chance: random.Random) -> None:
        """``kill -9`` one of its worker processes. It starts another by itself."""
        for _ in patiently(f"the workers of {name}", pause_s=_LOOKS_EVERY_S):
            with contextlib.suppress(psutil.NoSuchProcess):
                if children := psutil.Process(self._running[name].pid).children():
                    chance.choice(children).kill()
                    return

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Killed, and started again only at the end of the block."""
        with self._changing:
            self.kill(name)
            del self._running[name]
        yield
        self._start(name)

    def ended(self) -> list[str]:
        """The services that have ended and were not started again."""
        with self._changing:
            return [name for name, leader in self._running.items() if leader.poll() is not None]

    def end(self, name: str) -> None:
        """Ask it to end, as for a new release, and wait until it has; it is not started again."""
        with self._changing:
            leader = self._running.pop(name)
        leader.terminate()
        leader.wait(HANG_S)

    def _start(self, name: str) -> None:
        data = self._services[name]
        with self._changing, self._log.open("ab") as log:
            self._running[name] = subprocess.Popen(
                data.command, env=data.environment, stdout=log, stderr=log, start_new_session=True
            )

    def _manage(self, over: threading.Event) -> None:
        while not over.wait(_LOOKS_EVERY_S):
            for name in self.ended():
                if name not in self._unattended:
                    self._start(name)

    def _wait_until_it_serves(self) -> None:
        try:
            for _ in patiently("the web server", pause_s=_LOOKS_EVERY_S):
                with contextlib.suppress(requests.RequestException):
                    if requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=HANG_S).status_code == 200:
                        return
        except AssertionError as error:
            raise AssertionError(f"{error}; the last words of all:\n{last_words(self._log)}") from None
