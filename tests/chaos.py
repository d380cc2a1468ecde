"""A TCP proxy in front of a real server that misbehaves on request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends a reset."""


class ChaosProxy:
    """Forwards bytes between its callers and ``target_port`` on loopback.

    Requests always reach the server; what befalls the replies is set by the methods and holds until the next one.
    ``requests`` counts the pieces that went to the server, ``connections`` the connections that were accepted.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.connections = 0
        self.requests = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._swallow = False
        self._delay_s = 0.0
        self._reset_on_reply = False

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, target_port: int) -> AsyncIterator[ChaosProxy]:
        proxy = cls(target_port)
        await proxy.accept()
        try:
            yield proxy
        finally:
            await proxy.refuse()
            await asyncio.gather(*proxy._serving)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def behave(self) -> None:
        """Pass replies on, those held back first."""
        self._swallow, self._delay_s, self._reset_on_reply = False, 0.0, False
        self._passing.set()

    def swallow_replies(self) -> None:
        self._swallow = True

    def hold_replies(self) -> None:
        self._passing.clear()

    def delay_replies(self, seconds: float) -> None:
        self._delay_s = seconds

    def reset_instead_of_replying(self) -> None:
        self._reset_on_reply = True

    def reset(self) -> None:
        """Reset every open connection."""
        for writer in list(self._open):
            _reset(writer)

    async def refuse(self) -> None:
        """Stop listening and reset every open connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._passing.set()
        self.reset()

    async def accept(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server: asyncio.StreamWriter | None = None
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._open |= {writer, to_server}
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry_requests(reader, to_server))
                both.create_task(self._carry_replies(from_server, writer))
        except* OSError:
            pass  # one side is gone; so is the other, below
        finally:
            for end in (writer, to_server):
                if end is not None:
                    self._open.discard(end)
                    end.transport.abort()

    async def _carry_requests(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            self.requests += 1
            to_server.write(data)
            await to_server.drain()
        raise ConnectionResetError("the caller is gone")

    async def _carry_replies(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await from_server.read(1 << 16):
            await self._passing.wait()
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            if self._reset_on_reply:
                _reset(writer)
            if not self._swallow:
                writer.write(data)
                await writer.drain()
        raise ConnectionResetError("the server is gone")


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
