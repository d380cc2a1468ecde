"""People who page through the live pages and the admin, a click a second each, half of them with an overview open.

A process of its own (``python -m tests.bench.scale.readers``), with its task as JSON on its standard input: its work is
not the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field

import aiohttp

THINKS_S = 1.0


@dataclass(frozen=True, slots=True)
class Task:
    """``sessions``: one for each person."""

    port: int
    sessions: list[str]
    paths: list[str]
    seconds: float


@dataclass(slots=True)
class Seen:
    """``slow``: the longest wait for each path (ms). ``frames``: of all open overviews; ``closed``: how often one was,
    and opened again, as a browser does.
    """

    pages: int = 0
    failed: int = 0
    frames: int = 0
    frame_bytes: int = 0
    closed: int = 0
    slow: dict[str, float] = field(default_factory=dict)


class Readers:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._url = f"http://127.0.0.1:{task.port}"
        self.seen = Seen()

    async def run(self) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            tasks = [asyncio.ensure_future(self._read(session, *each)) for each in enumerate(self._task.sessions)]
            tasks += [asyncio.ensure_future(self._watch(session, key)) for key in self._task.sessions[::2]]
            await asyncio.sleep(self._task.seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, session: aiohttp.ClientSession, number: int, key: str) -> None:
        chosen = random.Random(number)
        await asyncio.sleep(chosen.random() * THINKS_S)
        while True:
            path, started = chosen.choice(self._task.paths), time.perf_counter()
            async with session.get(self._url + path, headers={"Cookie": f"sessionid={key}"}) as response:
                await response.read()
            took_ms = (time.perf_counter() - started) * 1000
            self.seen.pages += 1
            self.seen.failed += response.status != 200
            self.seen.slow[path] = max(took_ms, self.seen.slow.get(path, 0.0))
            await asyncio.sleep(max(0.1, THINKS_S - took_ms / 1000))

    async def _watch(self, session: aiohttp.ClientSession, key: str) -> None:
        headers = {"Cookie": f"sessionid={key}", "Origin": self._url}
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.ws_connect(f"{self._url}/ws/dashboard/", headers=headers, max_msg_size=0) as page:
                    async for message in page:
                        self.seen.frames += 1
                        self.seen.frame_bytes += len(message.data)
                        await page.send_str(json.dumps({"seen": 1 << 40}))
            self.seen.closed += 1
            await asyncio.sleep(THINKS_S)


def main() -> None:
    readers = Readers(Task(**json.loads(sys.stdin.readline())))
    asyncio.run(readers.run())
    print(json.dumps(asdict(readers.seen)), flush=True)


if __name__ == "__main__":
    main()
