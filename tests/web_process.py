"""Real web processes on the test's own database and store, and callers that a load balancer would send to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
from django.db import connection

from quota_platform import roles
from quota_platform.embedded import free_port
from quota_platform.env import BASE_DIR
from tests.bench import processes
from tests.patience import HANG_S, PAUSE_S, eventually
from tests.releases import previous

PATIENT = {"LIMITER_SOCKET_TIMEOUT_MS": "10000", "LIMITER_CONNECT_TIMEOUT_MS": "10000"}
"""Settings for tests that are not about an unavailable store: on a busy machine workers would decide without it."""


class WebProcess:
    """The web role as it ships, on a port of its own. ``settings`` are environment variables.

    ``code``: where the code of another release is, which is run in place of this one.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str],
        *,
        workers: int = 1,
        pages_workers: int = 0,
        stop_grace_s: int = 60,
        code: Path = BASE_DIR,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = directory / f"web-{self.port}.log"
        wanted = {"workers": workers, "pages_workers": pages_workers, "stop_grace_s": stop_grace_s}
        line = roles.web(**wanted) if code == BASE_DIR else previous.web(code, wanted)
        numbers = {"WEB_WORKERS": str(workers), "PAGES_WORKERS": str(pages_workers)}
        name = connection.settings_dict["NAME"]
        database = os.environ["DATABASE_URL"] if connection.vendor == "postgresql" else f"sqlite:///{name}"
        environment = {**os.environ, "DATABASE_URL": database, **numbers, **settings}
        with self._log.open("wb") as log:
            command = [*line, "--port", str(self.port)]
            self.process = subprocess.Popen(
                command, cwd=code, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    async def ready(self, session: aiohttp.ClientSession) -> bool:
        """What a balancer makes of ``/readyz``."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with session.get(f"{self.url}/readyz", headers={"Connection": "close"}) as response:
                return response.status == 200
        return False

    async def until_ready(self, session: aiohttp.ClientSession) -> None:
        async with asyncio.timeout(HANG_S):
            while not await self.ready(session):
                assert self.process.poll() is None, self._log.read_text()
                await asyncio.sleep(PAUSE_S)

    async def until_closed(self) -> None:
        """Wait until the listener is gone."""
        async with asyncio.timeout(HANG_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    return
                writer.close()
                await asyncio.sleep(PAUSE_S)

    def pages_worker(self) -> psutil.Process | None:
        """The process that takes pages over; None while none does."""
        return processes.pages_worker(psutil.Process(self.process.pid))

    async def until_there_is_a_pages_worker(self, *, besides: int = 0) -> psutil.Process:
        """Wait for one, other than this process."""

        async def look() -> psutil.Process | None:
            found = self.pages_worker()
            return found if found is not None and found.pid != besides else None

        found = await eventually(look, what="a process for pages")
        assert found is not None
        return found

    async def ended(self) -> str:
        """Wait until it has ended; returns its output."""
        await asyncio.to_thread(self.process.wait, HANG_S)
        return self._log.read_text()

    def kill(self) -> None:
        """With its workers, where it has several."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def web_processes(*processes: WebProcess) -> Iterator[list[WebProcess]]:
    """Those and the ones added meanwhile, killed in the end."""
    running = list(processes)
    try:
        yield running
    finally:
        for each in running:
            each.kill()


@dataclass
class Balanced:
    """Callers who keep their connections, sent to processes ready at the last look. ``failed``: their errors."""

    nodes: Sequence[WebProcess]
    statuses: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def calling(
        self, session: aiohttp.ClientSession, path: str, *, headers: dict[str, str], callers: int = 4
    ) -> AsyncIterator[None]:
        """Call without a pause until the end of the block."""
        ready = list(self.nodes)

        async def look() -> None:
            while True:
                found = [node for node in self.nodes if await node.ready(session)]
                ready[:] = found or ready
                await asyncio.sleep(PAUSE_S)

        async def call(number: int) -> None:
            while not over.is_set():
                number += 1
                node = ready[number % len(ready)]
                try:
                    async with session.post(f"{node.url}{path}", data=b"{}", headers=headers) as response:
                        await response.read()
                        self.statuses[response.status] += 1
                except (aiohttp.ClientError, OSError) as error:
                    self.failed.append(repr(error))

        over = asyncio.Event()
        looking = asyncio.ensure_future(look())
        calls = [asyncio.ensure_future(call(number)) for number in range(callers)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*calls)
            looking.cancel()
