"""Stories are started at the sandbox and played by the demo's traffic."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from quota_platform.demo import cast, stories, tokens
from quota_platform.sandbox import running_in_thread
from quota_platform.sandbox.control import STORIES
from tests.patience import HANG_S, eventually


def test_every_story_that_can_be_started_is_played() -> None:
    assert set(stories.STORIES) == set(STORIES)


@pytest.fixture
async def platform() -> AsyncIterator[tuple[str, list[str]]]:
    """Refuses each client once, for it to come back at once."""
    called: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        called.append(request.path)
        refused = len(called) <= stories.HERD
        return web.Response(status=429 if refused else 200, headers={"Retry-After": "0"} if refused else {})

    app = web.Application()
    app.router.add_post("/invoke/{action}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", called
    await runner.cleanup()


async def test_a_herd_that_is_started_calls_and_comes_back(tmp_path: Path, platform: tuple[str, list[str]]) -> None:
    url, called = platform
    tokens.write(tmp_path, {cast.GLOBEX.tenant_id: "qk_demo", cast.HOOLI.tenant_id: "qk_other"})
    with running_in_thread(clients={}) as sandbox:
        playing = asyncio.ensure_future(stories.play_what_is_started(f"http://{sandbox.address}", url, tmp_path))
        async with aiohttp.ClientSession() as session, asyncio.timeout(HANG_S):

            async def started() -> bool:
                """Start one; the first may come before the traffic has looked once."""
                order = json.dumps({"story": "herd"})
                async with session.post(f"http://{sandbox.address}/__sim__/story", data=order) as response:
                    assert response.status == 202
                return bool(called)

            async def came_back() -> bool:
                return len(called) >= 2 * stories.HERD

            await eventually(started, what="a story to be played")
            await eventually(came_back, what="the herd to come back")
        playing.cancel()
    assert set(called) == {f"/invoke/{cast.HERD_ACTION}"}


async def test_a_hidden_limit_is_set_and_taken_away() -> None:
    with running_in_thread(clients={}) as sandbox:
        async with aiohttp.ClientSession(f"http://{sandbox.address}") as session, asyncio.timeout(HANG_S):
            playing = asyncio.ensure_future(stories.hidden_limit({}, session, lasts_s=HANG_S))

            async def limited() -> bool:
                return bool(sandbox.state.unit_limits)

            await eventually(limited, what="the limit")
            playing.cancel()
            await asyncio.wait([playing])
            assert not sandbox.state.unit_limits


async def test_a_slow_hour_ends_and_leaves_the_unit_as_it_was() -> None:
    with running_in_thread(clients={}) as sandbox:
        async with aiohttp.ClientSession(f"http://{sandbox.address}") as session, asyncio.timeout(HANG_S):
            playing = asyncio.ensure_future(stories.slow_hour({}, session, lasts_s=HANG_S))

            async def slow() -> bool:
                everyone = sandbox.state.unit_limits.public()["everyone"]
                return everyone is not None and everyone["queue"] and everyone["concurrency"] == 1

            await eventually(slow, what="the slow unit")
            playing.cancel()
            await asyncio.wait([playing])
            assert not sandbox.state.unit_limits
            assert sandbox.state.invoke_latency.label == stories.NORMAL_LATENCY["profile"]


async def test_a_noisy_neighbour_calls_beside_one_that_calls_as_always(platform: tuple[str, list[str]]) -> None:
    url, called = platform
    async with aiohttp.ClientSession(url) as noisy, aiohttp.ClientSession(url) as meek, asyncio.timeout(HANG_S):
        callers = {cast.GLOBEX.tenant_id: noisy, cast.HOOLI.tenant_id: meek}
        await stories.noisy_neighbour(callers, noisy, lasts_s=2.0)
    assert called == [f"/invoke/{cast.SHARED_ACTION}"] * 18


async def test_a_shared_unit_has_a_hidden_limit_while_one_tenant_floods_it(platform: tuple[str, list[str]]) -> None:
    url, called = platform
    with running_in_thread(clients={}) as running:
        async with (
            aiohttp.ClientSession(url) as caller,
            aiohttp.ClientSession(f"http://{running.address}") as sandbox,
            asyncio.timeout(HANG_S),
        ):
            callers = {each.tenant_id: caller for each in (cast.GLOBEX, cast.HOOLI)}
            playing = asyncio.ensure_future(stories.shared_unit(callers, sandbox, lasts_s=2.0))

            async def limited() -> bool:
                return bool(running.state.unit_limits)

            await eventually(limited, what="the limit")
            await playing
        assert not running.state.unit_limits
    assert called == [f"/invoke/{cast.UNIT_ACTION}"] * 18


async def test_a_shared_herd_is_of_both_tenants(platform: tuple[str, list[str]]) -> None:
    url, called = platform
    async with aiohttp.ClientSession(url) as one, aiohttp.ClientSession(url) as other, asyncio.timeout(HANG_S):
        await stories.shared_herd({cast.GLOBEX.tenant_id: one, cast.HOOLI.tenant_id: other}, one)
    assert called == [f"/invoke/{cast.SHARED_HERD_ACTION}"] * 2 * stories.HERD
