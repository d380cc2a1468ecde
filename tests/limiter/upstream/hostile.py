"""An upstream on raw sockets that breaks the rules of HTTP/1.1 at random, and stamps every byte with whose it is.

The response to a call is the call's own body; what nobody asked for is the body of the call before it on that
connection, marked as such.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from yarl import URL

STRAY = b"stray of "
_LENGTH = re.compile(rb"Content-Length: (\d+)")


def response(body: bytes, *, status: bytes = b"200 OK", length: int | None = None, more: bytes = b"") -> bytes:
    payload = len(body) if length is None else length
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, more, payload, body)


def chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nX-T: 1\r\n\r\n" % (len(body), body)


RESPONSES: dict[str, Callable[[bytes], bytes]] = {
    "sized": response,
    "chunked": chunked,
    "goodbye": lambda own: response(own, more=b"Connection: close\r\n"),
    "error": lambda own: response(own, status=b"500 Oops"),
    "busy": lambda own: response(own, status=b"503 Busy", more=b"Retry-After: 0\r\n"),
    "hints": lambda own: b"HTTP/1.1 103 Early Hints\r\nContent-Length: 500\r\n\r\n" + response(own),
    "1xx": lambda own: b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + response(own),
    "1xx flood": lambda own: b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000 + response(own),
    "length too short": lambda own: response(own, length=len(own) // 2),
    "length 0": lambda own: response(own, length=0),
    "two lengths": lambda own: response(own, more=b"Content-Length: 1\r\n"),
    "length and chunks": lambda own: response(own, more=b"Transfer-Encoding: chunked\r\n"),
    "no content": lambda own: response(own, status=b"204 No Content"),
    "not modified": lambda own: response(own, status=b"304 Not Modified"),
    "switch": lambda own: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + response(own),
    "line breaks": lambda own: response(own) + b"\r\n\r\n",
    "junk": lambda own: response(own) + b"<html>",
    "long": lambda own: response(own * 9000),
}
"""The bytes for a call's body, sent in one write; the connection goes on."""


class Hostile:
    """``strays``: the share of calls that are answered twice. ``done`` counts its deeds."""

    def __init__(self, seed: int, *, strays: float) -> None:
        self._strays = strays
        self._random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._respond(await _call(reader), writer):
                await writer.drain()
        writer.close()

    async def _respond(self, own: bytes, writer: asyncio.StreamWriter) -> bool:
        """Do one thing or another; False when the connection is over."""
        luck = self._random.random()
        if luck < self._strays:
            self.done["stray"] += 1
            return await self._stray(own, writer)
        luck = self._random.random()
        if luck < 0.5:
            writer.write(response(own))
            return True
        if luck < 0.75:
            kind = self._random.choice(list(RESPONSES))
            self.done[kind] += 1
            writer.write(RESPONSES[kind](own))
            return True
        kind = self._random.choice(list(_SCENES))
        self.done[kind] += 1
        return await _SCENES[kind](self, own, writer)

    async def _stray(self, own: bytes, writer: asyncio.StreamWriter) -> bool:
        """A second response, at once or at any time later, also while the next call is on its way."""
        writer.write(response(own))
        stray = response(STRAY + own)
        loop = asyncio.get_running_loop()
        match self._random.choice(("along", "next turn", "soon", "late")):
            case "along":
                writer.write(stray)
            case "next turn":
                loop.call_soon(_write, writer, stray)
            case "soon":
                loop.call_later(self._random.random() * 0.004, _write, writer, stray)
            case "late":
                loop.call_later(self._random.random() * 0.05, _write, writer, stray)
        return True

    async def _in_pieces(self, own: bytes, writer: asyncio.StreamWriter) -> bool:
        for byte in self._random.choice((response, chunked))(own):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        return True

    async def _too_late(self, own: bytes, writer: asyncio.StreamWriter) -> bool:
        asyncio.get_running_loop().call_later(0.12 + self._random.random() * 0.05, _write, writer, response(own))
        return True

    async def _broken_off(self, own: bytes, writer: asyncio.StreamWriter) -> bool:
        whole = self._random.choice((response, chunked))(own)
        writer.write(whole[: self._random.randrange(len(whole))])
        await writer.drain()
        if self._random.random() < 0.5:
            writer.transport.abort()
        return False

    async def _goodbye_unsaid(self, own: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(response(own))
        await writer.drain()
        return False

    async def _request_timeout(self, own: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(response(own))
        await writer.drain()
        await asyncio.sleep(self._random.random() * 0.01)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return False


_SCENES = {
    "in pieces": Hostile._in_pieces,
    "too late": Hostile._too_late,
    "broken off": Hostile._broken_off,
    "goodbye unsaid": Hostile._goodbye_unsaid,
    "request timeout": Hostile._request_timeout,
}


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


async def _call(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return await reader.readexactly(int(length[1])) if length else b""


@asynccontextmanager
async def hostile(seed: int, *, strays: float = 0.1) -> AsyncIterator[tuple[Hostile, URL]]:
    upstream = Hostile(seed, strays=strays)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield upstream, URL(f"http://{host}:{port}/x")
    finally:
        server.close()
