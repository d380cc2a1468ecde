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

HIDDEN_LIMIT = {"per_minute": 120, "burst": 10, "flavour": "retry_after"}
"""Half of the traffic's steady calls."""
HIDDEN_LIMIT_S = 180.0

Story = Callable[[aiohttp.ClientSession, aiohttp.ClientSession], Awaitable[None]]
"""What plays one, with a session to the platform and one to the sandbox."""


async def herd(platform: aiohttp.ClientSession, sandbox: aiohttp.ClientSession) -> None:
    """Clients that call at once, and come back when they are asked to."""
    await asyncio.gather(*[_obedient(platform) for _ in range(HERD)])


async def hidden_limit(
    platform: aiohttp.ClientSession, sandbox: aiohttp.ClientSession, *, lasts_s: float = HIDDEN_LIMIT_S
) -> None:
    """The unit bears fewer calls than the traffic makes, for some minutes, and publishes no number."""
    await _limit(sandbox, HIDDEN_LIMIT)
    try:
        await asyncio.sleep(lasts_s)
    finally:
        await _limit(sandbox, {"off": True})


async def _limit(sandbox: aiohttp.ClientSession, limit: Mapping[str, object]) -> None:
    async with sandbox.put("/__sim__/limiter", json=limit) as response:
        response.raise_for_status()


async def _obedient(session: aiohttp.ClientSession) -> None:
    for _ in range(_MAX_ATTEMPTS):
        async with session.post(f"/invoke/{cast.HERD_ACTION}", json={"reference": "a herd"}) as response:
            await response.read()
        if response.status != 429:
            return
        await asyncio.sleep(int(response.headers.get("Retry-After", "1")))


STORIES: Mapping[str, Story] = {"herd": herd, "hidden_limit": hidden_limit}


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
                    await story(platform, sandbox)
            seen = last


async def _last(sandbox: aiohttp.ClientSession) -> tuple[int, str] | None:
    """How many stories were started, and the last one; None when the sandbox is unavailable."""
    with contextlib.suppress(*_UNAVAILABLE):
        async with sandbox.get("/__sim__/story") as response:
            payload = await response.json()
            return payload["number"], payload["story"]
    return None
