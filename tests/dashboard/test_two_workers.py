"""The real web server with two workers: a person's pages are counted together, and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User

from dashboard.seats import MAX_PER_PERSON
from dashboard.streams import NO_RIGHT, TOO_MANY
from tenants.models import Tenant
from tests.patience import HANG_S
from tests.people import browser
from tests.web_process import WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]

Session = aiohttp.ClientSession
Page = aiohttp.ClientWebSocketResponse


@pytest.fixture
def node(tmp_path: Path, acme: Tenant) -> Iterator[WebProcess]:
    with web_processes(WebProcess(tmp_path, {}, workers=2)) as (made,):
        yield made


@pytest.fixture
def session_cookie(admin_user: User) -> dict[str, str]:
    name = settings.SESSION_COOKIE_NAME
    return {name: browser(admin_user).cookies[name].value}


@pytest.fixture
async def signed_in(node: WebProcess, session_cookie: dict[str, str]) -> AsyncIterator[Session]:
    async with Session(node.url, cookies=session_cookie, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await node.until_ready(session)
        yield session


async def opened(session: Session, node: WebProcess) -> Page:
    return await session.ws_connect("/ws/dashboard/", headers={"Origin": node.url})


async def ended_with(page: Page) -> int | None:
    """The code, after the frames that were on their way."""
    async with asyncio.timeout(HANG_S):
        async for _ in page:
            pass
    return page.close_code


def switch_off(user: User) -> None:
    user.is_active = False
    user.save()


async def test_pages_of_one_person_are_counted_and_closed_in_both_workers(
    node: WebProcess, signed_in: Session, admin_user: User
) -> None:
    pages = [await opened(signed_in, node) for _ in range(MAX_PER_PERSON)]
    assert [(await page.receive_json())["kind"] for page in pages] == ["full"] * MAX_PER_PERSON
    assert await ended_with(await opened(signed_in, node)) == TOO_MANY
    await sync_to_async(switch_off)(admin_user)
    assert await asyncio.gather(*map(ended_with, pages)) == [NO_RIGHT] * MAX_PER_PERSON
