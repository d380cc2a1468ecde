"""What our protocol takes for granted of uvicorn's inside, which no promise of its releases covers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server

from quota_platform import roles
from quota_platform.server.http1 import Http1


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Greets by what its lifespan left, over HTTP and websockets."""
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["greeting"] = "hello"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    greeting = scope["state"]["greeting"]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": greeting})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": greeting.encode()})


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[tuple[Server, socket.socket]]:
    """uvicorn itself, set up by the command line of the web role."""
    line = roles.web(workers=1, pages_workers=0)
    data = {name: value for name, value in itertools.pairwise(line) if name in ("--http", "--ws")}
    listening = socket.create_server(("127.0.0.1", 0))
    config = Config(application, lifespan="on", log_config=None, http=data["--http"], ws=data["--ws"])
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.server_state.default_headers:
            await asyncio.sleep(0)
        yield server, listening
    finally:
        server.should_exit = True
        await serving


async def test_uvicorn_runs_our_protocol_with_its_state_its_date_and_its_lifespan() -> None:
    async with running() as (server, listening):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert head.count(b"\r\ndate: ") == 1
        assert await reader.readexactly(5) == b"hello"
        [connection] = server.server_state.connections
        assert isinstance(connection, Http1)
        assert server.server_state.total_requests == 1
        writer.close()


async def test_uvicorn_ends_our_idle_connections_when_it_stops() -> None:
    async with running() as (server, listening):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        while not server.server_state.connections:
            await asyncio.sleep(0)
        server.should_exit = True
        assert await reader.read() == b""
        writer.close()


async def test_uvicorn_serves_the_websocket_that_our_protocol_hands_over() -> None:
    async with running() as (server, listening):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(
            b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(7) == b"\x81\x05hello"
        [connection] = server.server_state.connections
        assert not isinstance(connection, Http1)
        writer.close()
