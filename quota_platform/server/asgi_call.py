"""One request on a connection and its answer: ASGI's ``receive`` and ``send``, and a short way for a whole answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

from uvicorn.server import ServerState

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

WHOLE = "quota_platform.whole"
"""Name of the ASGI extension under which an application finds the :class:`AsgiCall` itself."""
_BODILESS = frozenset({204, 304})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FAILED = b"Internal Server Error"

log = logging.getLogger(__name__)


class Connection(Protocol):
    """What a call needs of the connection it came over."""

    loop: asyncio.AbstractEventLoop
    shared: ServerState
    transport: asyncio.Transport

    async def write(self, data: bytes) -> None: ...
    def resume_reading(self) -> None: ...
    def answered(self, call: AsgiCall) -> None: ...


class AsgiCall:
    """A request as it arrives and its answer as it leaves. ``keep``: the connection serves another one afterwards."""

    __slots__ = (
        *("keep", "gone", "_connection", "_scope", "_parts", "_buffered", "_more", "_told", "_continue", "_waiter"),
        *("_task", "_pending", "_started", "_ended", "_chunked", "_left", "_bodiless", "_can_chunk"),
    )

    def __init__(self, connection: Connection, scope: Scope, *, keep: bool) -> None:
        self.keep = keep
        self.gone = False
        self._connection = connection
        self._scope: Scope | None = scope
        self._parts: list[bytes] = []
        self._buffered = 0
        self._more = True
        self._told = False
        self._continue = (b"expect", b"100-continue") in scope["headers"]
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._pending: tuple[int, bytes, int] | None = None
        self._started = self._ended = self._chunked = False
        self._left: int | None = None
        self._bodiless = scope["method"] == "HEAD"
        self._can_chunk = scope["http_version"] == "1.1"
        scope["extensions"] = {WHOLE: self}

    # What the connection tells

    def take(self, body: bytes) -> int:
        """A piece of the body; returns how much of it nobody has taken yet."""
        if not self._ended:
            self._parts.append(body)
            self._buffered += len(body)
            self._wake()
        return self._buffered

    def take_end(self) -> None:
        """The body is whole."""
        self._more = False
        self._wake()

    def lose(self) -> None:
        """The caller is gone."""
        self.gone = True
        self._wake()

    def start(self, app: App) -> None:
        """Let the application answer, in a task that the server waits for when it stops."""
        scope, self._scope = self._scope, None  # the scope knows this call: a circle that only a collection would free
        assert scope is not None, "a call is started once"
        self._task = self._connection.loop.create_task(self._run(app, scope))
        self._connection.shared.tasks.add(self._task)

    async def _run(self, app: App, scope: Scope) -> None:
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            if not self.gone:
                log.exception("the application failed on %s %s", scope["method"], scope["path"])
        finally:
            if self._task is not None:
                self._connection.shared.tasks.discard(self._task)
        if not self._ended and not self.gone:
            await self._give_up()

    async def _give_up(self) -> None:
        """Break off what the application left unfinished, or answer 500 in its place."""
        if self._started:
            self._connection.transport.abort()  # the caller must not take a part for the whole
            return
        self.keep = False
        await self.answer(500, b"\r\ncontent-type: text/plain", _FAILED)

    # The short way

    def whole_body(self) -> bytes | None:
        """The whole body if it has arrived and nobody has taken any of it."""
        if self._more or self._told:
            return None
        self._told = True
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    async def answer(self, status: int, fields: bytes, body: bytes) -> None:
        """The whole answer. ``fields``: each ``\\r\\nname: value``, names in lower case."""
        head = self._head(status, fields, fields.count(b"\r\n"), length=len(body))
        await self._connection.write(head + body if not self._bodiless else head)
        self._end()

    # ASGI

    async def receive(self) -> Message:
        while not self.gone and not self._ended:
            if self._parts or not (self._more or self._told):
                body = b"".join(self._parts)
                self._parts.clear()
                self._buffered = 0
                self._told = not self._more
                return {"type": "http.request", "body": body, "more_body": self._more}
            self._connection.resume_reading()
            if self._continue and self._more:
                self._continue = False
                await self._connection.write(_CONTINUE)
                continue
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
            if self._pending or self._started:
                raise RuntimeError("an answer starts once")
            headers = list(message.get("headers", ()))
            fields = b"".join([b"\r\n%b: %b" % (name.lower(), value) for name, value in headers])
            self._pending = message["status"], fields, len(headers)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        head = b""
        if not self._started:
            if self._pending is None:
                raise RuntimeError("an answer starts with its status")
            head = self._head(*self._pending, length=None if more else len(body))
        elif self._ended:
            raise RuntimeError("the answer has ended")
        await self._connection.write(head + self._framed(body, more))
        if not more:
            self._end()

    # The answer's bytes

    def _head(self, status: int, fields: bytes, count: int, *, length: int | None) -> bytes:
        """The answer's head. ``length``: of the whole body, None when it comes piece by piece."""
        if fields.count(b"\n") != count or fields.count(b"\r") != count or b"\0" in fields:
            raise ValueError("a line break or NUL in a header of the answer")
        self._started, self._continue = True, False
        self._bodiless = self._bodiless or status in _BODILESS
        end = b"\r\n\r\n"
        at = fields.find(b"\r\ncontent-length: ")
        if at >= 0:
            stated = fields[at + 18 :].split(b"\r", 1)[0]
            self._left = int(stated)
        elif length is not None:
            self._left = length
            if status not in _BODILESS:
                end = b"\r\ncontent-length: %d\r\n\r\n" % length
        elif self._can_chunk:
            if not self._bodiless:
                self._chunked, end = True, b"\r\ntransfer-encoding: chunked\r\n\r\n"
        else:
            self.keep = False
        if b"\r\nconnection: close" in fields:
            self.keep = False
        elif not self.keep:
            end = b"\r\nconnection: close" + end
        return _status_line(status) + _common(self._connection.shared.default_headers) + fields + end

    def _framed(self, body: bytes, more: bool) -> bytes:
        """A piece of the body as it goes out."""
        if self._bodiless:
            return b""
        if self._chunked:
            return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer is not as long as its Content-Length says")
        return body

    def _end(self) -> None:
        self._ended = True
        self._parts.clear()
        self._buffered = 0
        self._wake()
        self._connection.answered(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


_LINES = {status: f"HTTP/1.1 {status} {_phrase(status)}".encode() for status in range(200, 600)}


def _status_line(status: int) -> bytes:
    return _LINES[status]


def _common(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The fields of every answer: uvicorn renews the date once a second."""
    return b"".join([b"\r\n%b: %b" % field for field in fields])


def refusal(status: int, detail: str) -> bytes:
    """The whole answer to what could not be read as a request."""
    return (
        f"HTTP/1.1 {status} {_phrase(status)}\r\ncontent-type: text/plain\r\ncontent-length: {len(detail)}\r\n"
        f"connection: close\r\n\r\n{detail}"
    ).encode()
