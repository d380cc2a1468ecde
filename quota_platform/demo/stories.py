"""Stories that are started through the sandbox's control API and played by the demo's traffic."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp

from quota_platform.demo import cast, tokens

HERD = 30
_LOOK_S = 1.0
_MAX_ATTEMPTS = 20
_UNAVAILABLE = (aiohttp.ClientError, TimeoutError)

Story = Callable[[aiohttp.ClientSession], Awaitable[None]]


async def herd(session: aiohttp.ClientSession) -> None:
    """Clients that call at once, and come back when they are asked to."""
    await asyncio.gather(*[_obedient(session) for _ in range(HERD)])


async def _obedient(session: aiohttp.ClientSession) -> None:
    for _ in range(_MAX_ATTEMPTS):
        async with session.post(f"/invoke/{cast.HERD_ACTION}", json={"reference": "a herd"}) as response:
            await response.read()
        if response.status != 429:
            return
        await asyncio.sleep(int(response.headers.get("Retry-After", "1")))


STORIES: Mapping[str, Story] = {"herd": herd}


async def play_what_is_started(sandbox_url: str, platform_url: str, var: Path) -> None:
    """Play each story that is started from now on, as Globex."""
    headers = {"Authorization": f"Bearer {tokens.read(var)[cast.GLOBEX.tenant_id]}"}
    timeout = aiohttp.ClientTimeout(30)
    async with (
        aiohttp.ClientSession(sandbox_url, timeout=timeout) as sandbox,
        aiohttp.ClientSession(platform_url, headers=headers, timeout=timeout) as platform,
    ):
        seen = await _last(sandbox)
        while True:
            await asyncio.sleep(_LOOK_S)
            last = await _last(sandbox)
            if last is None or last == seen:
                continue
            if seen is not None and (story := STORIES.get(last[1])) is not None:
                with contextlib.suppress(*_UNAVAILABLE):
                    await story(platform)
            seen = last


async def _last(sandbox: aiohttp.ClientSession) -> tuple[int, str] | None:
    """How many stories were started, and the last one; None when the sandbox is unavailable."""
    with contextlib.suppress(*_UNAVAILABLE):
        async with sandbox.get("/__sim__/story") as response:
            payload = await response.json()
            return payload["number"], payload["story"]
    return None
