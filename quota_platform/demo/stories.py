"""Stories that are started through the sandbox's control API and played by the demo's traffic."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp

from quota_platform.demo import cast, tokens

HERD = 30
_LOOK_S = 1.0
_MAX_ATTEMPTS = 20
_UNAVAILABLE = (aiohttp.ClientError, TimeoutError)

HIDDEN_LIMIT = {"per_minute": 120, "burst": 10, "flavour": "retry_after"}
"""Half of the traffic's steady calls."""
SLOW_LATENCY, SLOW_CAPACITY = {"ms": 300}, {"concurrency": 1, "queue": True}
"""Three calls a second, of the traffic's four: they queue at the unit."""
NORMAL_LATENCY = {"profile": "fast"}
LASTS_S = 180.0
NOISY_PER_SECOND, MEEK_PER_SECOND = 8.0, 0.9
"""Of a shared limit or unit of two a second: four times what there is, and less than half of it."""

Callers = Mapping[str, aiohttp.ClientSession]
"""Tenant -> its session to the platform."""
Story = Callable[[Callers, aiohttp.ClientSession], Awaitable[None]]
"""What plays one, with the callers and a session to the sandbox."""


async def herd(callers: Callers, sandbox: aiohttp.ClientSession) -> None:
    """Clients that call at once, and come back when they are asked to."""
    await asyncio.gather(*[_obedient(callers[cast.GLOBEX.tenant_id], cast.HERD_ACTION) for _ in range(HERD)])


async def shared_herd(callers: Callers, sandbox: aiohttp.ClientSession) -> None:
    """The same of two tenants at once, under a limit that they share."""
    clients = [callers[each.tenant_id] for each in (cast.GLOBEX, cast.HOOLI)] * (HERD // 2)
    await asyncio.gather(*[_obedient(each, cast.SHARED_HERD_ACTION) for each in clients])


async def hidden_limit(callers: Callers, sandbox: aiohttp.ClientSession, *, lasts_s: float = LASTS_S) -> None:
    """The unit bears fewer calls than the traffic makes, for some minutes, and publishes no number."""
    async with _limited(sandbox):
        await asyncio.sleep(lasts_s)


async def slow_hour(callers: Callers, sandbox: aiohttp.ClientSession, *, lasts_s: float = LASTS_S) -> None:
    """The unit works on one call at a time, and the others queue there."""
    try:
        await _put(sandbox, "latency", SLOW_LATENCY)
        await _put(sandbox, "limiter", SLOW_CAPACITY)
        await asyncio.sleep(lasts_s)
    finally:
        await _put(sandbox, "limiter", {"off": True})
        await _put(sandbox, "latency", NORMAL_LATENCY)


async def noisy_neighbour(callers: Callers, sandbox: aiohttp.ClientSession, *, lasts_s: float = LASTS_S) -> None:
    """One tenant floods a limit that it shares with another, which calls as always."""
    await _flooded(callers, cast.SHARED_ACTION, lasts_s=lasts_s)


async def shared_unit(callers: Callers, sandbox: aiohttp.ClientSession, *, lasts_s: float = LASTS_S) -> None:
    """One tenant floods a unit with a hidden limit; what the connection learns of it is divided among both."""
    async with _limited(sandbox):
        await _flooded(callers, cast.UNIT_ACTION, lasts_s=lasts_s)


@contextlib.asynccontextmanager
async def _limited(sandbox: aiohttp.ClientSession) -> AsyncIterator[None]:
    """Also one that is set when the story ends before the sandbox has responded is taken away."""
    try:
        await _put(sandbox, "limiter", HIDDEN_LIMIT)
        yield
    finally:
        await _put(sandbox, "limiter", {"off": True})


async def _flooded(callers: Callers, action: str, *, lasts_s: float) -> None:
    async with asyncio.TaskGroup() as calling:
        for of, per_second in ((cast.GLOBEX, NOISY_PER_SECOND), (cast.HOOLI, MEEK_PER_SECOND)):
            calling.create_task(_steady(callers[of.tenant_id], action, per_second=per_second, lasts_s=lasts_s))


async def _steady(caller: aiohttp.ClientSession, action: str, *, per_second: float, lasts_s: float) -> None:
    """Calls at even intervals that wait for no response and do not come back."""
    async with asyncio.TaskGroup() as calls:
        for _ in range(round(lasts_s * per_second)):
            calls.create_task(_call(caller, action))
            await asyncio.sleep(1 / per_second)


async def _put(sandbox: aiohttp.ClientSession, order: str, values: Mapping[str, object]) -> None:
    async with sandbox.put(f"/__sim__/{order}", json=values) as response:
        response.raise_for_status()


async def _call(caller: aiohttp.ClientSession, action: str) -> aiohttp.ClientResponse | None:
    """None when the platform is unavailable."""
    with contextlib.suppress(*_UNAVAILABLE):
        async with caller.post(f"/invoke/{action}", json={"reference": "a story"}) as response:
            await response.read()
            return response
    return None


async def _obedient(caller: aiohttp.ClientSession, action: str) -> None:
    for _ in range(_MAX_ATTEMPTS):
        response = await _call(caller, action)
        if response is None or response.status != 429:
            return
        await asyncio.sleep(int(response.headers.get("Retry-After", "1")))


STORIES: Mapping[str, Story] = {
    "herd": herd,
    "hidden_limit": hidden_limit,
    "noisy_neighbour": noisy_neighbour,
    "shared_herd": shared_herd,
    "shared_unit": shared_unit,
    "slow_hour": slow_hour,
}


async def play_what_is_started(sandbox_url: str, platform_url: str, var: Path) -> None:
    """Play each story that is started from now on, as Globex and Hooli."""
    kept, timeout = tokens.read(var), aiohttp.ClientTimeout(30)
    async with contextlib.AsyncExitStack() as open_sessions:
        sandbox = await open_sessions.enter_async_context(aiohttp.ClientSession(sandbox_url, timeout=timeout))
        callers = {}
        for member in (cast.GLOBEX, cast.HOOLI):
            headers = {"Authorization": f"Bearer {kept[member.tenant_id]}"}
            session = aiohttp.ClientSession(platform_url, headers=headers, timeout=timeout)
            callers[member.tenant_id] = await open_sessions.enter_async_context(session)
        seen = await _last(sandbox)
        while True:
            await asyncio.sleep(_LOOK_S)
            last = await _last(sandbox)
            if last is None or last == seen:
                continue
            if seen is not None and (story := STORIES.get(last[1])) is not None:
                with contextlib.suppress(*_UNAVAILABLE):
                    await story(callers, sandbox)
            seen = last


async def _last(sandbox: aiohttp.ClientSession) -> tuple[int, str] | None:
    """How many stories were started, and the last one; None when the sandbox is unavailable."""
    with contextlib.suppress(*_UNAVAILABLE):
        async with sandbox.get("/__sim__/story") as response:
            payload = await response.json()
            return payload["number"], payload["story"]
    return None
