"""One HTTP/1.1 connection to an upstream, one request at a time: llhttp's parser on an asyncio protocol.

A general client costs 70 us a call here and this a tenth of it, because forwarding needs little: a head that was
built once, a body that is at hand, a response whose head is read and whose body is passed on. No redirects, cookies,
decompression or repeats exist to be switched off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import httptools

from limiter.upstream.due import Alarm
from limiter.upstream.sockets import Peek

MAX_HEAD_BYTES = 65_536
_FRAMING_PER_BYTE = 16
"""Of a body: so much of chunk sizes, their extensions and trailers may come with it, beyond what a head may have."""
_PAUSE_BYTES = 262_144
"""Of a response that its reader has not taken yet; above this the connection is not read."""
_MAX_AT_ONCE = 14_000
"""What TCP sends without waiting to hear from the other side."""
_perf = time.perf_counter
_BODILESS = (204, 304)


class BrokenResponse(Exception):
    """What came is not one whole HTTP answer."""


class InvalidStatus(BrokenResponse):
    """The response has a status that no final response may have: it cannot be handed on."""


class Wire(asyncio.Protocol):
    """A connection. ``request`` may be called again once the response before was read to its end and ``reusable``.

    ``unsolicited``: bytes came that no request asked for. Whose they are nobody can know, so the connection ends.
    ``ended`` is called once when it ends between two requests, for whatever reason.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._peek: Peek | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._due = Alarm(self._loop, late=self._too_late)
        self._error: Exception | None = None
        self._request_bytes = 0
        self._written = 0.0
        self._silent = True
        self._early = False
        self._parts: list[bytes] = []
        self._last = b""
        self._buffered = self._head_bytes = self.body_bytes = self._framing = 0
        self._paused = False
        self._sized = False
        self._keep = True
        self.unsolicited = False
        self.ended: Callable[[Wire], None] | None = None
        self.round_trip_s = 0.0
        """The way to the upstream and back takes no longer."""
        self.due = 0.0
        """When a connection that rests is to be closed; for who keeps it."""
        self.status = 0
        self.fields: list[tuple[str, str]] = []
        self.length: int | None = None
        self.head_complete = False
        self.complete = True

    @property
    def open(self) -> bool:
        """Neither side has closed the connection."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def reusable(self) -> bool:
        """Another request may be sent: the response before came to a clean end and nobody closed the connection."""
        if not self.complete or not self._keep or self._paused or self._error is not None:
            return False
        return self._transport is not None and not self._transport.is_closing()

    def pending(self) -> bool:
        """Something has arrived that nobody has read: bytes, or the end. A request must not follow it."""
        return self._peek is not None and self._peek.pending()

    async def request(self, data: bytes, *, seconds: float) -> None:
        """Send ``data`` and read until the response's head is there.

        The whole response has to arrive within ``seconds``. Raises TimeoutError, OSError, :class:`BrokenResponse`.
        """
        self._begin(len(data))
        self._due.set(seconds)
        assert self._transport is not None, "an open connection is asked"
        self._transport.write(data)
        while not self.head_complete:
            await self._change()
            if self._error is not None:
                raise self._error

    async def read(self) -> bytes:
        """The next bytes of the body, at least one byte; b"" at its end. Raises like :meth:`request`."""
        while not self._parts:
            if self.complete:
                return b""
            await self._change()
            if self._error is not None:
                raise self._error
        return self.taken()

    async def read_all(self) -> bytes:
        """The whole body; the caller has looked at its length before."""
        while not self.complete:
            await self._change()
            if self._error is not None:
                raise self._error
        return self.taken()

    def taken(self) -> bytes:
        """The bytes of the body that came and were not read yet."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """Give the connection up, whatever is under way."""
        self._due.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _begin(self, request_bytes: int) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._request_bytes, self._written = request_bytes, _perf()
        self._silent, self._early = True, False
        self._parts.clear()
        self._last = b""
        self._buffered = self._head_bytes = self.body_bytes = self._framing = 0
        self.head_complete = self.complete = False
        self._reset_head()

    def _reset_head(self) -> None:
        self.status, self.fields, self.length, self._sized = 0, [], None, False

    def _change(self) -> asyncio.Future[None]:
        """Done when something has come, or gone wrong; raises a fault at once."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None and not self.complete:
            self._error = error
        self._due.clear()
        self._wake()

    def _too_late(self) -> None:
        self._fail(TimeoutError("the response did not arrive in time"))
        self.close()

    # What cannot be a response

    def _precedes(self) -> bool:
        """The first bytes after a request: none of it can have been read when they were sent.

        A response to a part of the request is an early one: it counts, and the connection ends with it. What comes
        later than the way there and back takes need not be looked at.
        """
        late = _perf() - self._written > self.round_trip_s
        if self._peek is None or (late and self._request_bytes < _MAX_AT_ONCE):
            return False
        unsent = self._peek.unsent()
        self._early = unsent > 0
        return unsent >= self._request_bytes

    def _followed(self, data: bytes) -> bool:
        """``data`` ends a response, and line breaks come after it, which the parser passes over in silence."""
        if self._last:
            return not data.endswith(self._last)
        return len(data) > 5 and (not data.endswith(b"\r\n\r\n") or data.endswith(b"\r\n\r\n\r\n"))

    def _disown(self, reason: str) -> None:
        self.unsolicited = True
        self._fail(BrokenResponse(reason))
        self.close()
        self._report_end()

    def _report_end(self) -> None:
        ended, self.ended = self.ended, None
        if ended is not None:
            ended(self)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peek = Peek(self._transport)
        self.round_trip_s = self._peek.round_trip_s()

    def data_received(self, data: bytes) -> None:
        if self.complete or self._parser is None:
            self._disown("the upstream speaks without being asked")
            return
        if self._silent:
            self._silent = False
            if self._precedes():
                self._disown("a response came before the request was there")
                return
        self._last = b""
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.unsolicited = self.complete  # what came after a whole response is not HTTP
            self._fail(BrokenResponse(str(error)))  # unless a callback has named the fault before
            self.close()
            return
        if self.complete:
            self._keep = self._keep and not self._followed(data)
        else:
            self._bound()
        self._wake()

    def _bound(self) -> None:
        """Hold what a response that is still coming may take of memory."""
        if self._framing > MAX_HEAD_BYTES + _FRAMING_PER_BYTE * self.body_bytes:
            self._fail(BrokenResponse("the response has more around it than in it"))
            self.close()
        elif self._buffered > _PAUSE_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        if self.head_complete and not self.complete and not self._sized:
            self._keep = False
            self._finish()  # a response that tells no length ends with its connection
        elif self.complete:
            self._report_end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._peek = None
        self._parser = None  # which holds this
        self._due.cancel()
        self._fail(exc if isinstance(exc, OSError) else BrokenResponse("the connection was closed"))
        if self.complete:
            self._report_end()

    def _finish(self) -> None:
        self.complete = True
        self._due.clear()
        self._wake()

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        if self.complete:
            self._keep, self.unsolicited = False, True  # the first response is whole, the rest is not ours

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_complete:
            return  # a trailer is not taken for a field of the head
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise BrokenResponse("the response's head is too long")
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
        assert self._parser is not None, "it is calling"
        self.status = self._parser.get_status_code()
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
        self._last = body if self.length is not None else b""
        self._buffered += len(body)
        self.body_bytes += len(body)
        self._framing -= len(body)

    def on_message_complete(self) -> None:
        if self.complete:
            return
        if not self.head_complete:
            self._reset_head()  # 1xx: the response itself is still to come
            return
        assert self._parser is not None, "it is calling"
        self._keep = self._parser.should_keep_alive() and not self._early
        self._finish()
