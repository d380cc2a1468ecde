"""One HTTP/1.1 connection to an upstream, one request at a time: llhttp's parser on an asyncio protocol.

A general client costs 70 us a call here and this a tenth of it, because forwarding needs little: a head that was
built once, a body that is at hand, an answer whose head is read and whose body is passed on. No redirects, cookies,
decompression or repeats exist to be switched off.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

MOST_HEAD_BYTES = 65_536
_PAUSE_BYTES = 262_144
"""Of an answer that its reader has not taken yet; above this the connection is not read."""
_BODILESS = (204, 304)


class BrokenAnswer(Exception):
    """What came is not one whole HTTP answer."""


class InvalidStatus(BrokenAnswer):
    """The answer has a status that no final answer may have: it cannot be handed on."""


class Wire(asyncio.Protocol):
    """A connection. ``request`` may be called again once the answer before was read to its end and ``reusable``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._error: Exception | None = None
        self._parts: list[bytes] = []
        self._buffered = 0
        self._head_bytes = 0
        self._paused = False
        self._sized = False
        self._keep = True
        self.idle_since = 0.0
        self.status = 0
        self.fields: list[tuple[str, str]] = []
        self.length: int | None = None
        self.head_complete = False
        self.complete = True

    @property
    def reusable(self) -> bool:
        """Another request may be sent: the answer before came to a clean end and nobody closed the connection."""
        usable = self._transport is not None and not self._transport.is_closing()
        return usable and self.complete and self._keep and self._error is None

    async def request(self, data: bytes, *, seconds: float) -> None:
        """Send ``data`` and read until the answer's head is there.

        The whole answer has to arrive within ``seconds``. Raises TimeoutError, OSError, :class:`BrokenAnswer`.
        """
        self._begin()
        self._deadline = self._loop.call_later(seconds, self._too_late)
        cast(asyncio.Transport, self._transport).write(data)
        while not self.head_complete:
            await self._wait()

    async def read(self) -> bytes:
        """What has come of the body, at least one byte; b"" at its end. Raises like :meth:`request`."""
        while not self._parts:
            if self.complete:
                return b""
            await self._wait()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def read_all(self) -> bytes:
        """The whole body; the caller has looked at its length before."""
        while not self.complete:
            await self._wait()
        return await self.read()

    def close(self) -> None:
        """Give the connection up, whatever is under way."""
        self._stop_clock()
        if self._transport is not None:
            self._transport.abort()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parts.clear()
        self._buffered = self._head_bytes = 0
        self.head_complete = self.complete = False
        self._reset_head()

    def _reset_head(self) -> None:
        self.status, self.fields, self.length, self._sized = 0, [], None, False

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None and not self.complete:
            self._error = error
        self._stop_clock()
        self._wake()

    def _too_late(self) -> None:
        self._deadline = None
        self._fail(TimeoutError("the answer did not arrive in time"))
        self.close()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.complete or self._parser is None:
            self.close()  # the upstream speaks without being asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BrokenAnswer(str(error)))  # unless a callback has said before what is wrong
            self.close()
            return
        if self.complete and not self._keep:
            self.close()
        if self._buffered > _PAUSE_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        if self.head_complete and not self.complete and not self._sized:
            self._keep = False
            self._finish()  # an answer that tells no length ends with its connection
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc if isinstance(exc, OSError) else BrokenAnswer("the connection was closed"))

    def _finish(self) -> None:
        self.complete = True
        self._stop_clock()
        self._wake()

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        if self.complete:
            self._keep = False  # more than one answer to one request: the first is whole, the rest is not ours

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.complete:
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MOST_HEAD_BYTES:
            raise BrokenAnswer("the answer's head is too long")
        if self.head_complete:
            return  # a trailer: RFC 9110 6.5.1, its fields are not those of the head
        text = name.decode("latin1")
        self.fields.append((text, value.decode("latin1")))
        lower = text.lower()
        if lower == "content-length":
            self.length = int(value)
            self._sized = True
        elif lower == "transfer-encoding":
            self._sized = True

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        self.status = cast(httptools.HttpResponseParser, self._parser).get_status_code()
        if self.status == 101 or not 100 <= self.status < 600:
            error = InvalidStatus(f"status {self.status}")
            self._fail(error)
            raise error
        if self.status < 200:
            return
        if self.status in _BODILESS:
            self.length, self._sized = 0, True
        self.head_complete = True

    def on_body(self, body: bytes) -> None:
        if self.complete:
            return
        self._parts.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self.complete:
            return
        if not self.head_complete:
            self._reset_head()  # 1xx: the answer itself is still to come
            return
        self._keep = cast(httptools.HttpResponseParser, self._parser).should_keep_alive()
        self._finish()
