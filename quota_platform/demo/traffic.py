"""A modest stream of calls, so that there is something to see.

Steady ones, now and then more at once than allowed, and every few minutes a survey that nearly uses up its limit.

Acme is left alone: its limits belong to the person who tries the curl line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from quota_platform.demo import cast, environment, stories, tokens

STEADY_PER_SECOND = 4.0
BURST_EVERY = 120
BURST_CALLS = 60
"""More than Globex's plan lets pass at once (a burst of 40, 25 in flight)."""
SURVEY = "sendSurvey"
SURVEY_EVERY_S, SURVEY_FIRST_S, SURVEY_S = 240.0, 40.0, 58.0
SURVEY_PER_SECOND = 9.0
"""In 58 seconds past 80 % of the 600 calls a minute that Globex's plan has for an action: enough for an alert."""


@dataclass(frozen=True, slots=True)
class TrafficStep:
    """So many calls of one action at once, after a pause."""

    pause_seconds: float
    tenant_id: str
    action: str
    calls: int = 1


def steps(chance: random.Random) -> Iterator[TrafficStep]:
    """An endless stream: single calls at random intervals, more while a survey runs, now and then a burst."""
    number, at_s = 0, 0.0
    while True:
        rate = STEADY_PER_SECOND + (SURVEY_PER_SECOND if survey_runs(at_s) else 0)
        pause = chance.expovariate(rate)
        at_s += pause
        if chance.random() * rate >= STEADY_PER_SECOND:
            yield TrafficStep(pause, cast.GLOBEX.tenant_id, SURVEY)
            continue
        number += 1
        action = chance.choice(cast.GLOBEX.actions)
        burst = number % BURST_EVERY == 0
        yield TrafficStep(pause, cast.GLOBEX.tenant_id, action, BURST_CALLS if burst else 1)


def survey_runs(at_s: float) -> bool:
    """So many seconds after the start."""
    return (at_s - SURVEY_FIRST_S) % SURVEY_EVERY_S < SURVEY_S and at_s >= SURVEY_FIRST_S


async def play(stream: Iterator[TrafficStep], *, call: Callable[[TrafficStep], Awaitable[None]]) -> None:
    """Make the calls of each step, without waiting for their responses before the next."""
    running: set[asyncio.Task[None]] = set()
    for step in stream:
        await asyncio.sleep(step.pause_seconds)
        for _ in range(step.calls):
            task = asyncio.ensure_future(call(step))
            running.add(task)
            task.add_done_callback(running.discard)
    await asyncio.gather(*running)


async def until_serving(*signs: str) -> None:
    """Return once each of these URLs responds 200."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session:
        for sign in signs:
            while not await _serves(session, sign):
                await asyncio.sleep(0.1)


async def _serves(session: aiohttp.ClientSession, sign: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with session.get(sign) as response:
            return response.status == 200
    return False


async def _call_platform(base_url: str, var: Path) -> None:
    # A call that comes before the sandbox gets no token, and the platform would rest from asking for one.
    await until_serving(environment.sandbox_sign(os.environ), environment.platform_sign(os.environ))
    headers = {"Authorization": f"Bearer {tokens.read(var)[cast.GLOBEX.tenant_id]}"}
    async with aiohttp.ClientSession(base_url, headers=headers, timeout=aiohttp.ClientTimeout(30)) as session:

        async def call(step: TrafficStep) -> None:
            # A call that finds no platform (it may be stopping) is a call nobody made.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(f"/invoke/{step.action}", json={"reference": "demo traffic"}) as response:
                    await response.read()

        await play(steps(random.Random()), call=call)


async def main() -> None:
    url, var = f"http://127.0.0.1:{os.environ['PORT']}", Path(os.environ["VAR_DIR"])
    sandbox = f"http://{environment.sandbox_address(os.environ)}"
    work = asyncio.gather(_call_platform(url, var), stories.play_what_is_started(sandbox, url, var))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m quota_platform.demo.traffic", description=__doc__).parse_args()
    asyncio.run(main())
