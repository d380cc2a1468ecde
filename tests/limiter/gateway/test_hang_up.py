"""A caller or an upstream that hangs up amid a long response: an ordinary event, and nothing outlives it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.upstream.client import Client
from quota_platform import lean_urls
from quota_platform.server.http1 import Http1
from tenants.models import Connection, Tenant
from tests.limiter.gateway.conftest import Gateway
from tests.patience import HANG_S, eventually

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = b'{"access_token": "t", "expires_in": 3600}'
BEGINNING = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 70_000


class Halfway:
    """An upstream that sends a part of a long response and then nothing, until ``leave`` is set."""

    def __init__(self) -> None:
        self.leave = asyncio.Event()
        self.lost = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/oauth/token" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(TOKEN), TOKEN))
            writer.close()
            return
        writer.write(BEGINNING)
        leaving = asyncio.ensure_future(self.leave.wait())
        losing = asyncio.ensure_future(_end(reader))
        await asyncio.wait((leaving, losing), return_when=asyncio.FIRST_COMPLETED)
        self.lost.set()
        leaving.cancel()
        losing.cancel()
        writer.close()


async def _end(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        pass


@pytest.fixture
async def upstream(gateway: Gateway, connection: Connection) -> AsyncIterator[Halfway]:
    """Before it, a real client in the gateway."""
    halfway = Halfway()
    async with await asyncio.start_server(halfway.serve, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await _lead_to(connection, address)
        client = Client(redis=None, pool_size=10, sandbox_hosts=[address])
        gateway.runtime.gateway.forwarding.upstream = client
        yield halfway
        halfway.leave.set()
        await client.close()


async def _lead_to(connection: Connection, address: str) -> None:
    connection.is_sandbox, connection.base_url = True, f"http://{address}"
    connection.client_id = "demo-client"
    connection.set_client_secret("canary")
    await connection.asave()


Call = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[Call]:
    """A caller's connection to the gateway behind our server; hangs up at the end, and waits for the call's."""
    config = Config(lean_urls.handler(), proxy_headers=False)
    config.load()
    shared = ServerState()
    state = {"runtime": gateway.runtime}
    server = await asyncio.get_running_loop().create_server(lambda: Http1(config, shared, state), "127.0.0.1", 0)
    async with server, asyncio.timeout(HANG_S):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            await eventually(_none(shared), what="the call's end")


@asynccontextmanager
async def called(gateway: Gateway, key: str) -> AsyncIterator[asyncio.StreamReader]:
    """A caller that has read the beginning of its response."""
    async with connected(gateway) as (reader, writer):
        writer.write(request(key, length=2) + b"{}")
        await reader.readuntil(b"x" * 1000)
        yield reader


def request(key: str, *, length: int) -> bytes:
    lines = (
        "POST /invoke/lookupOrder HTTP/1.1",
        "Host: x",
        f"Content-Length: {length}",
        f"Authorization: Bearer {key}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def _none(shared: ServerState) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return not shared.tasks

    return look


async def in_use(gateway: Gateway, key: str) -> int:
    answered = await gateway.caller.call(
        "GET", "/metrics/acme/lookupOrder", headers=[("Authorization", f"Bearer {key}")]
    )
    return int(next(each["used"] for each in answered.json["limits"] if each["name"] == "inflight"))


@pytest.fixture
def one_at_a_time(acme: Tenant) -> None:
    policy = QuotaPolicy.objects.create(name="One")
    QuotaLimit.objects.create(policy=policy, name="inflight", algorithm="concurrency", quota=1)
    Assignment.objects.create(policy=policy, target=Assignment.Target.DEFAULT)


async def test_a_caller_gone_mid_stream_frees_its_slot_and_its_upstream_connection(
    gateway: Gateway, one_at_a_time: None, acme_key: str, upstream: Halfway, caplog: pytest.LogCaptureFixture
) -> None:
    async with called(gateway, acme_key):
        assert await in_use(gateway, acme_key) == 1

    async with asyncio.timeout(HANG_S):
        await upstream.lost.wait()
    await gateway.recorded()
    assert await in_use(gateway, acme_key) == 0
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []


async def test_an_upstream_that_breaks_off_mid_stream_cuts_the_caller_off_and_is_one_line_in_the_log(
    gateway: Gateway, one_at_a_time: None, acme_key: str, upstream: Halfway, caplog: pytest.LogCaptureFixture
) -> None:
    async with called(gateway, acme_key) as reader:
        upstream.leave.set()
        assert len(await reader.read()) < 1_000_000

    await gateway.recorded()
    assert await in_use(gateway, acme_key) == 0
    of_calls = [record for record in caplog.records if record.name != "limiter.gateway.runtime"]  # it warns at start
    (line,) = [record for record in of_calls if record.levelno >= logging.WARNING]
    assert "broke off in the middle" in line.getMessage() and not line.exc_info


async def test_a_caller_gone_before_its_body_was_whole_is_no_traceback(
    gateway: Gateway, one_at_a_time: None, acme_key: str, upstream: Halfway, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(gateway) as (_, writer):
        writer.write(request(acme_key, length=1000) + b"{")
        for _ in range(100):
            await asyncio.sleep(0)  # turns of the loop in which the server reads its input

    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []
