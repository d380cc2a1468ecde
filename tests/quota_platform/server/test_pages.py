"""A page of Django's goes to a thread once, however many parts of it are not async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from pytest_django import Settings

from quota_platform.server.pages import Pages
from tests.asgi import Caller
from tests.patience import HANG_S, eventually

Respond = Callable[[HttpRequest], HttpResponse]
MANY = 8
seen: list[threading.Thread] = []
running: list[threading.Thread] = []
go = threading.Event()


def sync_page(_: HttpRequest) -> HttpResponse:
    seen.append(threading.current_thread())
    return HttpResponse("sync")


async def async_page(_: HttpRequest) -> HttpResponse:
    return HttpResponse(str(id(asyncio.get_running_loop())))


def slow_page(_: HttpRequest) -> HttpResponse:
    running.append(threading.current_thread())
    assert go.wait(HANG_S)
    return HttpResponse("slow")


urlpatterns = [path("sync", sync_page), path("async", async_page), path("slow", slow_page)]


def noted(respond: Respond) -> Respond:
    """A middleware that is not async."""

    def middleware(request: HttpRequest) -> HttpResponse:
        seen.append(threading.current_thread())
        return respond(request)

    return middleware


async def page(at: str) -> bytes:
    app: Any = Pages()
    return (await Caller(app, {}).call("GET", at)).body


async def turns_waited_for(settings: Settings, *, middleware: int) -> int:
    """How many times the page came back to the loop."""
    settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, [f"{__name__}.noted"] * middleware
    loop: Any = asyncio.get_running_loop()
    ordinary, times = loop.call_soon_threadsafe, 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal times
        times += 1
        return ordinary(*arguments, **options)

    loop.call_soon_threadsafe = counted
    try:
        assert await page("/sync") == b"sync"
    finally:
        loop.call_soon_threadsafe = ordinary
    return times


async def test_a_page_waits_for_as_few_turns_of_the_loop_with_many_middlewares_as_with_none(settings: Settings) -> None:
    seen.clear()
    assert await turns_waited_for(settings, middleware=MANY) == await turns_waited_for(settings, middleware=0)
    assert len(seen) == MANY + 2
    assert len(set(seen[:-1])) == 1, "middleware and view run in one thread"


async def test_an_async_view_runs_on_the_loop_of_the_server(settings: Settings) -> None:
    settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, [f"{__name__}.noted"]
    assert await page("/async") == str(id(asyncio.get_running_loop())).encode()


async def test_few_pages_are_made_at_once_and_all_in_the_end(settings: Settings) -> None:
    settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, []
    running.clear()
    app: Any = Pages(at_once=2, turn_s=HANG_S)
    readers = [asyncio.create_task(Caller(app, {}).call("GET", "/slow")) for _ in range(5)]

    async def two_run() -> bool:
        return len(running) == 2

    await eventually(two_run, what="two pages")
    assert not any(reader.done() for reader in readers)
    go.set()
    assert [(await reader).body for reader in readers] == [b"slow"] * 5
    assert len(running) == 5
