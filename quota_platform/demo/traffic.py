"""A modest stream of calls, so that there is something to see: steady ones, and now and then more than allowed.

Acme is left alone: its limits belong to whoever tries the curl line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from quota_platform.demo import cast, tokens

STEADY_PER_SECOND = 4.0
BURST_EVERY = 120
BURST_CALLS = 60
"""More than Globex's plan lets pass at once (a burst of 40, 25 in flight)."""


@dataclass(frozen=True, slots=True)
class Step:
    """So many calls of one action at once, after a pause."""

    pause_seconds: float
    tenant_id: str
    action: str
    calls: int = 1


def steps(chance: random.Random) -> Iterator[Step]:
    """An endless stream: single calls at random intervals, and every :data:`BURST_EVERY` steps a burst."""
    number = 0
    while True:
        number += 1
        pause = chance.expovariate(STEADY_PER_SECOND)
        action = chance.choice(cast.GLOBEX.actions)
        burst = number % BURST_EVERY == 0
        yield Step(pause, cast.GLOBEX.tenant_id, action, BURST_CALLS if burst else 1)


async def play(stream: Iterator[Step], *, call: Callable[[Step], Awaitable[None]]) -> None:
    """Make the calls of each step, without waiting for their answers before the next."""
    running: set[asyncio.Task[None]] = set()
    for step in stream:
        await asyncio.sleep(step.pause_seconds)
        for _ in range(step.calls):
            task = asyncio.ensure_future(call(step))
            running.add(task)
            task.add_done_callback(running.discard)
    await asyncio.gather(*running)


async def _call_platform(base_url: str, var: Path) -> None:
    headers = {"Authorization": f"Bearer {tokens.read(var)[cast.GLOBEX.tenant_id]}"}
    async with aiohttp.ClientSession(base_url, headers=headers, timeout=aiohttp.ClientTimeout(30)) as session:

        async def call(step: Step) -> None:
            # A call that finds no platform (it may be starting or stopping) is a call nobody made.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(f"/invoke/{step.action}", json={"reference": "demo traffic"}) as answer:
                    await answer.read()

        await play(steps(random.Random()), call=call)


async def main() -> None:
    work = asyncio.ensure_future(_call_platform(f"http://127.0.0.1:{os.environ['PORT']}", Path(os.environ["VAR_DIR"])))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    asyncio.run(main())
