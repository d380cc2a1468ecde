"""A caller that speaks bytes, and an application behind our protocol that it speaks to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from quota_platform.server.draining import DRAINING
from quota_platform.server.guard import Guard
from quota_platform.server.http1 import Http1
from quota_platform.server.limits import Limits
from quota_platform.server.loop import Loop
from quota_platform.server.neighbours import Neighbours

DATE = (b"date", b"Wed, 25 Nov 2026 05:00:00 GMT")


class Wire:
    """A caller that speaks bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self.port: int = writer.get_extra_info("sockname")[1]

    async def say(self, *data: bytes) -> None:
        for piece in data:
            self._writer.write(piece)
            await self._writer.drain()

    async def hear(self) -> tuple[str, dict[str, str], bytes]:
        """One response: status line, headers, body of its length."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = dict(entry.split(": ", 1) for entry in lines)
        return line, headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        return await self.reader.read()

    def end(self) -> None:
        """Send no more, but read on."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Reset the connection, which cannot be taken for the end of a request."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def hang_up(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def served(
    app: Any,
    *,
    protocol: type[Http1] = Http1,
    draining: bool = False,
    limits: Limits | None = None,
    guard: Guard | None = None,
    neighbours: Neighbours | None = None,
) -> AsyncIterator[tuple[Any, ServerState]]:
    """``app`` behind our protocol; yields how to connect, and what the server shares.

    With ``neighbours``, which need our loop, it is one process of several.
    """
    state: dict[str, Any] = {"greeting": "hello"} | ({DRAINING: True} if draining else {})
    (guard or Guard(limits)).keep_in(state)
    config = Config(app, proxy_headers=False, ws="quota_platform.server.websocket:Websocket")
    config.load()
    shared = ServerState()
    shared.default_headers = [DATE]
    loop = asyncio.get_running_loop()
    if neighbours is not None:
        neighbours.keep_in(state)
        assert isinstance(loop, Loop)
        loop.neighbours = neighbours
    server = await loop.create_server(lambda: protocol(config, shared, state), "127.0.0.1", 0)
    wires: list[Wire] = []

    async def connect() -> Wire:
        wires.append(Wire(*await asyncio.open_connection(*server.sockets[0].getsockname())))
        return wires[-1]

    try:
        yield connect, shared
    finally:
        for wire in wires:
            wire.hang_up()
        server.close()
        await server.wait_closed()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Responds with the request, in one piece."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    said = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} {body.decode()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Said", b"yes")]})
    await send({"type": "http.response.body", "body": said})
