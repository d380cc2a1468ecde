"""The real web server with two workers: a person's pages are counted together, and closed together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from dashboard.seats import MAX_PER_PERSON
from dashboard.streams import NO_RIGHT, TOO_MANY
from tests.browser.live_demo import LiveDemo
from tests.patience import HANG_S

Session = aiohttp.ClientSession
Page = aiohttp.ClientWebSocketResponse


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[LiveDemo]:
    running = LiveDemo(tmp_path, workers=2)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
async def signed_in(demo: LiveDemo) -> AsyncIterator[Session]:
    async with Session(demo.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get("/dashboard/sign-in/") as response:
            token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', await response.text())
        assert token is not None
        name, password = demo.sign_in
        fields = {"username": name, "password": password, "csrfmiddlewaretoken": token[1]}
        async with session.post("/dashboard/sign-in/", data=fields, headers={"Referer": demo.url}) as response:
            assert response.url.path == "/dashboard/"
        yield session


async def opened(session: Session, demo: LiveDemo) -> Page:
    return await session.ws_connect("/ws/dashboard/", headers={"Origin": demo.url})


async def ended_with(page: Page) -> int | None:
    """The code, after the frames that were on their way."""
    async with asyncio.timeout(HANG_S):
        async for _ in page:
            pass
    return page.close_code


async def test_pages_of_one_person_are_counted_and_closed_in_both_workers(demo: LiveDemo, signed_in: Session) -> None:
    pages = [await opened(signed_in, demo) for _ in range(MAX_PER_PERSON)]
    assert [(await page.receive_json())["kind"] for page in pages] == ["full"] * MAX_PER_PERSON
    assert await ended_with(await opened(signed_in, demo)) == TOO_MANY
    name = demo.sign_in[0]
    leave = f"from django.contrib.auth.models import User as U; u = U.objects.get(username={name!r})"
    await asyncio.to_thread(demo.manage, "shell", "-c", f"{leave}; u.is_active = False; u.save()")
    assert await asyncio.gather(*map(ended_with, pages)) == [NO_RIGHT] * MAX_PER_PERSON
