"""Viewers of one tenant's live page over real websockets, and calls at a steady rate that they should see.

A process of its own (``python -m tests.bench.audience``), with its task as JSON on its standard input: its work is
not the server's. The first viewer reads every frame and notes when each call showed; the others count and answer.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

TOLD_EVERY = 4
"""A page says with every so many frames how far it has seen."""
_SEQ = re.compile(r'"seq":(\d+)')


@dataclass(frozen=True, slots=True)
class Task:
    """``sessions``: one for each viewer. ``calls_per_s`` for ``seconds``, and ``row`` is where they show."""

    port: int
    sessions: list[str]
    tenant_id: str
    row: str
    path: str
    headers: dict[str, str]
    calls_per_s: float
    seconds: float


@dataclass(slots=True)
class Seen:
    """What the audience saw. ``call_ms``: to a call's answer; ``late_ms``: from there to the frame that held it."""

    calls: int = 0
    failed: int = 0
    frames: dict[str, int] = field(default_factory=lambda: {"full": 0, "delta": 0})
    bytes: dict[str, int] = field(default_factory=lambda: {"full": 0, "delta": 0})
    closed: int = 0
    gaps: int = 0
    late_ms: list[float] = field(default_factory=list)
    call_ms: list[float] = field(default_factory=list)


class Audience:
    """Everything in one event loop: all times come from one clock."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._url = f"http://127.0.0.1:{task.port}"
        self._answered_at: list[float] = []
        self._base: int | None = None
        self._shown = 0
        self._over = asyncio.Event()
        self.seen = Seen()

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            ready = [asyncio.Event() for _ in self._task.sessions]
            pages = [
                asyncio.ensure_future(self._watch(session, key, ready=ready[number], first=number == 0))
                for number, key in enumerate(self._task.sessions)
            ]
            for event in ready:
                await event.wait()
            print("ready", flush=True)
            await self._call(session)
            self._over.set()
            await asyncio.gather(*pages)

    async def _watch(self, session: aiohttp.ClientSession, key: str, *, ready: asyncio.Event, first: bool) -> None:
        url = f"{self._url}/ws/dashboard/?tenant={self._task.tenant_id}"
        headers = {"Cookie": f"sessionid={key}", "Origin": self._url}
        async with session.ws_connect(url, headers=headers, max_msg_size=0) as page:
            over = asyncio.ensure_future(self._over.wait())
            over.add_done_callback(lambda _: asyncio.ensure_future(page.close()))
            last = 0
            async for message in page:
                ready.set()
                text = message.data
                kind = "delta" if '"kind":"delta"' in text else "full"
                self.seen.frames[kind] += 1
                self.seen.bytes[kind] += len(text)
                found = _SEQ.search(text)
                seq = int(found[1]) if found else 0
                self.seen.gaps += kind == "delta" and seq != last + 1
                last = seq
                if seq % TOLD_EVERY == 0:
                    await page.send_str(json.dumps({"seen": seq}))
                if first:
                    self._look(json.loads(text))
            self.seen.closed += not self._over.is_set()
            ready.set()
            over.cancel()

    def _look(self, frame: dict[str, Any]) -> None:
        """Note the calls that show now and did not before."""
        row = next((row for row in frame.get("rows", []) if row["id"] == self._task.row and "used" in row), None)
        if row is None:
            return
        if self._base is None:
            self._base = row["used"] - len(self._answered_at)
        now = time.perf_counter()
        while self._shown < min(row["used"] - self._base, len(self._answered_at)):
            self.seen.late_ms.append((now - self._answered_at[self._shown]) * 1000)
            self._shown += 1

    async def _call(self, session: aiohttp.ClientSession) -> None:
        """Calls at a steady rate: one that takes long makes the next one no later."""
        start = time.perf_counter()
        under_way = []
        for number in range(int(self._task.calls_per_s * self._task.seconds)):
            await asyncio.sleep(max(0.0, start + number / self._task.calls_per_s - time.perf_counter()))
            under_way.append(asyncio.ensure_future(self._one(session)))
        await asyncio.gather(*under_way)
        await asyncio.sleep(max(0.0, start + self._task.seconds - time.perf_counter()))

    async def _one(self, session: aiohttp.ClientSession) -> None:
        self.seen.calls += 1
        asked = time.perf_counter()
        async with session.post(self._url + self._task.path, headers=self._task.headers, json={}) as response:
            await response.read()
            self.seen.failed += response.status != 200
        self._answered_at.append(time.perf_counter())
        self.seen.call_ms.append((self._answered_at[-1] - asked) * 1000)


async def main() -> None:
    audience = Audience(Task(**json.loads(sys.stdin.readline())))
    await audience.run()
    print(json.dumps(asdict(audience.seen)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
