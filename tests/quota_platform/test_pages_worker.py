"""Pages have a process of their own; without it they go on, and calls never notice."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.patience import HANG_S, eventually
from tests.quota_platform.conftest import Upstream
from tests.quota_platform.server.wire import Wire
from tests.web_process import WebProcess, web_processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]

PAGE = b"GET /accounts/sign-in/ HTTP/1.1\r\nHost: localhost\r\n\r\n"


CALL = b"POST /invoke/lookupOrder HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nContent-Length: 2\r\n\r\n{}"


async def wire_to(node: WebProcess) -> Wire:
    return Wire(*await asyncio.open_connection("127.0.0.1", node.port))


async def moved_to(node: WebProcess, pages: psutil.Process) -> Wire:
    """A connection that this process has taken over: it has its place before it can serve."""

    async def look() -> Wire | None:
        wire = await wire_to(node)
        await wire.say(PAGE)
        assert (await wire.hear())[0] == "HTTP/1.1 200 OK"
        if connections_of(node, pages.pid):
            return wire
        wire.hang_up()
        return None

    found = await eventually(look, what="a page from its process")
    assert found is not None
    return found


def connections_of(node: WebProcess, pid: int) -> int:
    """How many TCP connections of callers this process has."""
    seen = psutil.Process(pid).net_connections(kind="tcp")
    return len([each for each in seen if each.status == "ESTABLISHED" and each.laddr.port == node.port])


@pytest.mark.slow
async def test_pages_go_on_when_their_process_is_killed_and_calls_never_notice(
    tmp_path: Path, upstream: Upstream, headers: dict[str, str]
) -> None:
    settings = {"SANDBOX_HOSTS": f"127.0.0.1:{upstream.port}", "METRICS_NETWORKS": "127.0.0.1"}
    node = WebProcess(tmp_path, settings, pages_workers=1)
    async with aiohttp.ClientSession() as session, asyncio.timeout(HANG_S):
        with web_processes(node):
            await node.until_ready(session)
            first = await node.until_there_is_a_pages_worker()

            async def yields() -> bool:
                return bool(first.nice() > psutil.Process(node.process.pid).nice())

            await eventually(yields, what="a lower priority than that of calls")

            wire = await moved_to(node, first)
            await wire.say(CALL % headers["Authorization"].encode())
            assert (await wire.hear())[0] == "HTTP/1.1 200 OK"

            async def gone() -> bool:
                return connections_of(node, first.pid) == 0

            await eventually(gone, what="the connection to be that of a process for calls again")
            wire.hang_up()

            # It stands still, and is killed before it has taken the connection over: the page comes all the same.
            first.suspend()
            waiting = await wire_to(node)
            await waiting.say(PAGE)
            first.kill()
            assert (await waiting.hear())[0] == "HTTP/1.1 200 OK"

            # It is killed while it has the connection: the browser's next one works.
            second = await node.until_there_is_a_pages_worker(besides=first.pid)
            (await moved_to(node, second)).hang_up()
            await waiting.say(PAGE)
            assert (await waiting.hear())[0] == "HTTP/1.1 200 OK"
            second.kill()
            assert await waiting.rest() == b""
            waiting.hang_up()
            fresh = await wire_to(node)
            await fresh.say(PAGE)
            assert (await fresh.hear())[0] == "HTTP/1.1 200 OK"
            fresh.hang_up()

            # And there is another one, which is heard among the workers.
            await node.until_there_is_a_pages_worker(besides=second.pid)

            async def heard() -> bool:
                async with aiohttp.request("GET", f"{node.url}/metrics") as response:
                    text = await response.text()
                return text.count("quota_server_connections{") >= 2

            await eventually(heard, what="both processes' heartbeats")
            node.process.send_signal(signal.SIGINT)
            await node.ended()


async def test_a_process_for_pages_drains_with_the_others(tmp_path: Path) -> None:
    node = WebProcess(tmp_path, {"DRAIN_SECONDS": "3600"}, pages_workers=1)
    async with aiohttp.ClientSession() as session, asyncio.timeout(HANG_S):
        with web_processes(node):
            await node.until_ready(session)
            pages = await node.until_there_is_a_pages_worker()
            resting = await moved_to(node, pages)
            node.process.send_signal(signal.SIGTERM)

            async def leaving() -> bool:
                wire = await wire_to(node)
                await wire.say(PAGE)
                line, fields, _ = await wire.hear()
                assert line == "HTTP/1.1 200 OK", "it serves while it drains"
                wire.hang_up()
                return fields.get("connection") == "close"

            await eventually(leaving, what="responses that close their connections")
            assert connections_of(node, pages.pid) >= 1
            for process in psutil.Process(node.process.pid).children():
                process.terminate()  # the second time: that ends the drain
            assert await resting.rest() == b"", "one that rests is closed in the end"
            resting.hang_up()
            assert "Traceback" not in await node.ended()
            assert not psutil.pid_exists(pages.pid)


@pytest.mark.slow  # every process of the server starts three times
async def test_there_is_a_process_for_pages_after_each_time_that_all_were_replaced(tmp_path: Path) -> None:
    """uvicorn starts each new process before it ends the old one: at the latest the second time none is left for pages
    unless those without a place look for one.
    """
    node = WebProcess(tmp_path, {"DRAIN_SECONDS": "0"}, pages_workers=1)
    async with aiohttp.ClientSession() as session, asyncio.timeout(HANG_S):
        with web_processes(node):
            await node.until_ready(session)
            for _ in range(2):
                await node.until_there_is_a_pages_worker()
                await all_replaced(node)
            pages = await node.until_there_is_a_pages_worker()
            (await moved_to(node, pages)).hang_up()
            assert pages.nice() > psutil.Process(node.process.pid).nice()
            node.process.send_signal(signal.SIGINT)
            assert "Traceback" not in await node.ended()


async def all_replaced(node: WebProcess) -> None:
    """As `kill -HUP` does."""
    processes = psutil.Process(node.process.pid).children()
    before = [each for each in processes if "spawn_main" in " ".join(each.cmdline())]
    node.process.send_signal(signal.SIGHUP)

    async def replaced() -> bool:
        return not any(each.is_running() for each in before)

    await eventually(replaced, what="the end of the processes that were there")
