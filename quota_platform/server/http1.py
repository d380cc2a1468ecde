"""HTTP/1.1 as the web role speaks it: llhttp's parser on an asyncio protocol, run by uvicorn in place of its own.

It runs on the loop's own thread: a server that reads its callers on another one hands the interpreter's lock to and fro
for every call, which costs as much as deciding it. uvicorn's protocol sets no bound on the time and the length of a
head, nor on a caller that does not read its answer, and costs twice this one.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from quota_platform.server.asgi_call import AsgiCall, refusal
from quota_platform.server.draining import DRAINING

MOST_HEAD_BYTES = 65_536
PAUSE_BYTES = 65_536
"""Of a body that nobody has taken yet; above this the caller is not read."""


class Http1(asyncio.Protocol):
    """One caller's connection: requests one after the other, pipelined ones answered in their order."""

    head_s = 10.0
    """For the whole head of a request, from its first byte on; of the first one, from when the connection was made."""
    stalled_s = 60.0
    """How long a caller may take nothing of its answer while the rest waits here."""
    linger_s = 0.1
    """How long a server that stops still hears an idle caller, whose next request may be in the socket already."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self.shared = server_state
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._config = config
        self._app = config.loaded_app
        self._state = app_state
        self._parser: Any = httptools.HttpRequestParser(self)
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading: AsgiCall | None = None
        """The request whose body is arriving; None within a head and between requests."""
        self._serving: AsgiCall | None = None
        self._queue: deque[AsgiCall] = deque()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._scope: dict[str, Any] = {}
        self._always: dict[str, Any] = {}
        self._head_bytes = 0
        self._refused: tuple[int, str] | None = None
        self._upgrade = ""
        self._idle = False
        self._stopping = False
        self._due = math.inf
        self._clock: asyncio.TimerHandle | None = None
        self._paused = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.shared.connections.add(self)  # type: ignore[arg-type]
        self._always = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "scheme": "https" if is_ssl(self.transport) else "http",
            "root_path": self._config.root_path,
        }
        self._due = self.loop.time() + self.head_s
        self._clock = self.loop.call_later(self.head_s, self._look)

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self._idle = False
            self._due = self.loop.time() + self.head_s
        if self._reading is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._upgrade == "websocket":
                self._hand_over()
            return
        except httptools.HttpParserError:
            self._refuse(*(self._refused or (400, "The request is not HTTP/1.1.")))
            return
        if self._reading is None and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(431, "The request's head is too long.")

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.connections.discard(self)
        if self._clock is not None:
            self._clock.cancel()
        for call in (self._reading, self._serving):
            if call is not None:
                call.lose()
        self._queue.clear()
        self._writable.set()
        self._parser = None

    def pause_writing(self) -> None:
        self._writable.clear()
        self._due = self.loop.time() + self.stalled_s

    def resume_writing(self) -> None:
        self._writable.set()
        if self._serving is None:
            self._rest()
        else:
            self._due = math.inf

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        self._url, self._headers, self._upgrade = b"", [], ""
        self._head_bytes = self._head_bytes or 1  # it may begin in the piece that ended the last one

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        headers, parser = self._headers, self._parser
        if sum([len(name) + len(value) for name, value in headers]) + len(self._url) > MOST_HEAD_BYTES:
            self._refused = (431, "The request's head is too long.")
            raise ValueError
        url = httptools.parse_url(self._url)
        path = url.path.decode("ascii")
        scope = {
            **self._always,
            "method": parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": headers,
            "state": self._state.copy(),
        }
        version = parser.get_http_version()
        if version != "1.1":
            scope["http_version"] = version
        if parser.should_upgrade():
            self._upgrade = _value(headers, b"upgrade").lower()
            if self._upgrade == "websocket":
                self._scope = scope
                return
        last = self._stopping or self._upgrade or DRAINING in self._state
        call = AsgiCall(self, scope, keep=not last and parser.should_keep_alive())
        self._reading = call
        self._due = math.inf
        if self._serving is None:
            self._start(call)
        else:
            self._queue.append(call)
            self.pause_reading()

    def on_body(self, body: bytes) -> None:
        if self._reading is not None and self._reading.take(body) > PAUSE_BYTES:
            self.pause_reading()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if self._reading is not None:
            call, self._reading = self._reading, None
            call.take_end()
            if self._serving is None:
                self._rest()

    # What a call needs of its connection

    def pause_reading(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self._queue and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    async def write(self, data: bytes) -> None:
        """Send, once the caller has taken most of what was sent before."""
        if not self._writable.is_set():
            await self._writable.wait()
        self.transport.write(data)

    def answered(self, call: AsgiCall) -> None:
        """A call has its whole answer: the next one's turn."""
        self.shared.total_requests += 1
        self._serving = None
        if self.transport.is_closing():
            return
        if not call.keep:
            self.transport.close()
        elif self._queue:
            self._start(self._queue.popleft())
        else:
            self.resume_reading()
            self._rest()

    def shutdown(self) -> None:
        """The server stops: what has begun to arrive, or lies in the socket, is the last to be answered."""
        self._stopping = True
        if self._serving is None:
            self.loop.call_later(self.linger_s, self._close_if_idle)
        else:
            (self._queue[-1] if self._queue else self._serving).keep = False

    def _close_if_idle(self) -> None:
        if self._serving is None and self._head_bytes == 0 and not self.transport.is_closing():
            self.transport.close()

    def _start(self, call: AsgiCall) -> None:
        self._serving = call
        call.start(self._app)

    def _rest(self) -> None:
        """No call is being served: the next head may be long in coming, what has begun to arrive may not."""
        self._idle = self._reading is None and self._head_bytes == 0
        self._due = self.loop.time() + (self._config.timeout_keep_alive if self._idle else self.head_s)

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be read as a request, after those before it were answered, and close."""
        if self._reading is not None:
            self._reading.lose()
            self.transport.close()
        elif self._serving is not None:
            (self._queue[-1] if self._queue else self._serving).keep = False
            self.pause_reading()
        elif not self.transport.is_closing():
            self.transport.write(refusal(status, detail))
            self.transport.close()

    def _look(self) -> None:
        """Close a connection whose time is over. Looked at every few seconds, which costs a call no timer."""
        left = self._due - self.loop.time()
        if left > 0:
            self._clock = self.loop.call_later(min(left, self.head_s), self._look)
        elif self._writable.is_set():
            self.transport.close()
        else:
            self.transport.abort()  # what the caller does not take would keep it open

    def _hand_over(self) -> None:
        """The connection becomes a websocket: uvicorn's protocol reads the request once more."""
        scope = self._scope
        if self._clock is not None:
            self._clock.cancel()
        self.shared.connections.discard(self)
        lines = [f"{scope['method']} ".encode() + self._url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self._headers]
        made: Any = cast(Any, self._config.ws_protocol_class)(
            config=self._config, server_state=self.shared, app_state=self._state
        )
        made.connection_made(self.transport)
        made.data_received(b"\r\n".join(lines) + b"\r\n\r\n")
        self.transport.set_protocol(made)


def _value(headers: list[tuple[bytes, bytes]], name: bytes) -> str:
    return next((value.decode("latin1") for field, value in headers if field == name), "")
