"""One request on a connection and its response: ASGI's ``receive`` and ``send``, and a short way for a whole response.

A request is handed on when it is whole, so that no application waits for a body, and whatever is wrong with one has
been answered before an application, or a quota, hears of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

from uvicorn.server import ServerState

from quota_platform.base.lean.problem import Problem
from quota_platform.server import rejection
from quota_platform.server.response_head import FieldLines, InvalidResponse, common, field_lines, status_line

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

WHOLE = "quota_platform.whole"
"""Name of the ASGI extension under which an application finds the :class:`AsgiCall` itself."""
_BODILESS = frozenset({204, 205, 304})

log = logging.getLogger(__name__)


class CallConnection(Protocol):
    """What a call needs of the connection it came over."""

    loop: asyncio.AbstractEventLoop
    shared: ServerState
    transport: asyncio.Transport
    writable: asyncio.Event
    """Set while the caller has read most of the bytes sent."""

    def answered(self, call: AsgiCall) -> None: ...


class AsgiCall:
    """A request and its response as it leaves. ``keep``: the connection serves another request afterwards."""

    __slots__ = (
        *("keep", "gone", "left", "on_leave", "body", "scope", "started"),
        *("_connection", "_delivered", "_ended", "_waiter", "_task", "_opening"),
        *("_chunked", "_left", "_bodiless", "_is_head", "_is_1_1"),
    )

    def __init__(self, connection: CallConnection, scope: Scope, *, keep: bool) -> None:
        self.keep = keep
        self.gone = self.left = False
        self.on_leave: Callable[[], None] | None = None
        """Called when the caller closes its side: it has hung up, or sends no more and takes its response."""
        self.body = b""
        self.scope: Scope | None = scope
        """None once the call was started: the scope knows this call, a circle that only a collection would free."""
        self.started = False
        """Bytes of the response have gone out."""
        self._connection = connection
        self._delivered = self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._opening: tuple[int, FieldLines] | None = None
        self._chunked = self._bodiless = False
        self._left: int | None = None
        self._is_head = scope["method"] == "HEAD"
        self._is_1_1 = scope["http_version"] == "1.1"
        scope["extensions"] = {WHOLE: self}

    def lose(self) -> None:
        """The caller is gone."""
        self.gone = True
        self._wake()
        self.leave()

    def leave(self) -> None:
        """The caller has closed its side."""
        self.left = True
        if self.on_leave is not None:
            self.on_leave()

    def start(self, app: App) -> None:
        """Let the application respond, in a task that the server waits for when it stops."""
        scope, self.scope = self.scope, None
        assert scope is not None, "a call is started once"
        self._task = self._connection.loop.create_task(self._run(app, scope))
        self._connection.shared.tasks.add(self._task)

    async def _run(self, app: App, scope: Scope) -> None:
        detail = "The server failed; the fault is in its log."
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            if not self.gone:
                log.exception("the application failed on %s %s", scope["method"], scope["path"])
        except BaseException:
            detail = "The server stopped before the call had ended."
            raise
        finally:
            if self._task is not None:
                self._connection.shared.tasks.discard(self._task)
            if not self._ended and not self.gone:
                self._give_up(Problem(500, "internal", detail), scope)

    def _give_up(self, problem: Problem, scope: Scope) -> None:
        """Respond in the application's place, or break off its unfinished response."""
        if self.started:
            self._connection.transport.abort()  # the caller must not take a part for the whole
            return
        self.keep = False
        self.started = True
        self._connection.transport.write(rejection.response(problem, self._connection.shared.default_headers, scope))
        self._end()

    # The short way

    def whole_body(self) -> bytes:
        """The body, for an application that does not ask for it by ``receive``."""
        self._delivered = True
        return self.body

    def response(self, status: int, fields: Sequence[tuple[str, str]], body: bytes) -> Awaitable[None]:
        """Send the whole response; raises InvalidResponse when it is no HTTP, and has sent nothing then."""
        return self._send_whole(status, field_lines(fields), body)

    # ASGI

    async def receive(self) -> Message:
        if not self._delivered and not self.gone:
            self._delivered = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        while not self.gone and not self._ended:
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.gone:
            return
        if message["type"] == "http.response.start":
            if self._opening or self.started:
                raise InvalidResponse("a response starts once")
            fields = [(name.decode("latin1"), value.decode("latin1")) for name, value in message.get("headers", ())]
            self._opening = message["status"], field_lines(fields)
        elif message["type"] == "http.response.body":
            await self._send_piece(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise InvalidResponse(f"{message['type']!r} is no message of a response")

    async def _send_piece(self, body: bytes, *, more: bool) -> None:
        if self._ended:
            raise InvalidResponse("the response has ended")
        if self.started:
            await self._write(self._framed(body, more))
        elif self._opening is None:
            raise InvalidResponse("a response starts with its status")
        elif not more:
            await self._send_whole(*self._opening, body)
            return
        else:
            data = self._opened(*self._opening) + self._framed(body, more)
            self.started = True
            await self._write(data)
        if not more:
            self._end()

    # The response's bytes

    async def _send_whole(self, status: int, fields: FieldLines, body: bytes) -> None:
        if self.gone:
            return
        if self.started:
            raise InvalidResponse("a response starts once")
        length = self._length(status, fields.length, len(body))
        framing = b"" if length is None else b"\r\ncontent-length: %d" % length
        if status in _BODILESS or self._is_head:
            body = b""
        data = self._head(status, fields, framing) + body
        self.started = True
        connection = self._connection
        if not connection.writable.is_set():
            await connection.writable.wait()
        connection.transport.write(data)
        self._end()

    async def _write(self, data: bytes) -> None:
        """Send, once the caller has read most of the earlier bytes."""
        await self._connection.writable.wait()
        self._connection.transport.write(data)

    def _length(self, status: int, stated: int | None, length: int) -> int | None:
        """The Content-Length of a whole response; None: none is sent (RFC 9110 8.6)."""
        if status == 204:
            return None
        if status == 205:
            return 0
        if status == 304:
            return stated
        if self._is_head:
            return stated if stated is not None else length or None
        if stated is not None and stated != length:
            raise InvalidResponse(f"the response has {length} bytes, its Content-Length says {stated}")
        return length

    def _opened(self, status: int, fields: FieldLines) -> bytes:
        """The head of a response that comes piece by piece."""
        self._bodiless = status in _BODILESS or self._is_head
        self._left, self._chunked = fields.length, False
        framing = b""
        if self._bodiless:
            length = self._length(status, fields.length, 0)
            framing = b"" if length is None else b"\r\ncontent-length: %d" % length
        elif fields.length is not None:
            framing = b"\r\ncontent-length: %d" % fields.length
        elif self._is_1_1:
            self._chunked, framing = True, b"\r\ntransfer-encoding: chunked"
        else:
            self.keep = False  # the end of the connection ends the body
        return self._head(status, fields, framing)

    def _head(self, status: int, fields: FieldLines, framing: bytes) -> bytes:
        head = status_line(status) + common(self._connection.shared.default_headers) + fields.lines + framing
        if fields.close:
            self.keep = False
        if not self.keep:
            return head + b"\r\nconnection: close\r\n\r\n"
        return head + (b"\r\n\r\n" if self._is_1_1 else b"\r\nconnection: keep-alive\r\n\r\n")

    def _framed(self, body: bytes, more: bool) -> bytes:
        """A piece of the body as it goes out."""
        if self._bodiless:
            return b""
        if self._chunked:
            return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise InvalidResponse("the response is not as long as its Content-Length says")
        return body

    def _end(self) -> None:
        self._ended = True
        self.body = b""
        self._wake()
        self._connection.answered(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
