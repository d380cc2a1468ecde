"""Callers that come at a pace of their own, whether or not the calls before theirs have ended."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def arrivals(call: Callable[[int], Awaitable[Any]], *, per_s: float) -> AsyncIterator[None]:
    """So many calls a second while the block runs; each is given its number."""
    calls: set[asyncio.Future[Any]] = set()

    async def come() -> None:
        for number in itertools.count():
            calls.add(asyncio.ensure_future(call(number)))
            await asyncio.sleep(1 / per_s)

    coming = asyncio.create_task(come())
    yield
    coming.cancel()
    await asyncio.gather(coming, *calls, return_exceptions=True)


async def every_second(seconds: int) -> AsyncIterator[None]:
    """A look a second at what arrives."""
    for _ in range(seconds):
        await asyncio.sleep(1)
        yield
