"""The bytes that a caller sends, made into requests by llhttp's parser; each is handed on when it is whole."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import httptools

from quota_platform.base.lean.problem import Problem
from quota_platform.server import request_head
from quota_platform.server.asgi_call import AsgiCall, CallConnection
from quota_platform.server.limits import Limits

MAX_HEAD_BYTES = 65_536
MAX_TRAILER_BYTES = 8_192
MAX_FRAMING_BYTES = 16_384
"""What chunks may take beside the body, for their sizes, extensions and trailers; and as much again per byte of body
as the smallest chunk takes."""
_FRAMING_PER_BYTE = 8

Data = bytes | memoryview

log = logging.getLogger(__name__)


class Elsewhere(Exception):
    """A request belongs to another process. ``read``: the bytes of its connection, from that request on."""

    def __init__(self, read: bytes) -> None:
        self.read = read


class Receiver(CallConnection, Protocol):
    """The connection that requests come over."""

    def ready(self, call: AsgiCall) -> None:
        """A request is whole."""
        ...


class RequestReader:
    """``receiving``: the request whose body is arriving; None within a head and between requests.

    ``leaves``: whether a request for this path is to be read elsewhere, asked of each that nothing precedes.
    """

    def __init__(
        self,
        connection: Receiver,
        limits: Limits,
        always: dict[str, Any],
        state: dict[str, Any],
        *,
        leaves: Callable[[str], bool] | None = None,
    ) -> None:
        self.receiving: AsgiCall | None = None
        self.received = 0
        """Bytes of its body that have arrived."""
        self.head_bytes = 0
        """Of a head that has begun to arrive."""
        self.invites = False
        """The caller waits for "100 Continue" before it sends the body."""
        self._connection = connection
        self._limits = limits
        self._always = always
        self._state = state
        self._parser: Any = httptools.HttpRequestParser(self)
        self.stays = False
        """The next request is read here, wherever it belongs."""
        self._leaves = leaves
        self._leaving = False
        self._problem: Problem | None = None
        self._url = b""
        self._headers: request_head.Headers = []
        self._parts: list[bytes] = []
        self._cap = self._wire = self._trailer = 0
        self._upgrade: bytes | None = None
        """The head of a request that asks for an upgrade, which llhttp ends there, as it is to be read again."""
        self._handshake = False
        self._pieces: list[Data] = []
        """What came since the head that is read began, and what stood before it in its first piece."""
        self._follows = False
        """Another request ended in that piece."""

    def feed(self, data: Data) -> bytes | None:
        """Take the received bytes. Returns the bytes of a websocket's handshake, from its head on.

        Raises Problem, and Elsewhere.
        """
        before = self.receiving
        if before is None and self.head_bytes:
            self._pieces.append(data)
        else:
            self._pieces, self._follows = [data], False
        if before is None:
            self.head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._go_on_after_upgrade(bytes(data[int(upgrade.args[0]) :]))
        except httptools.HttpParserError as error:
            raise self._reason(error) from None
        if self.receiving is None:
            if self.head_bytes > MAX_HEAD_BYTES:
                raise _head_too_long()
            if not self.head_bytes:
                self._pieces = []
        elif self.receiving is before:
            self._wire += len(data)
            if self._wire > MAX_FRAMING_BYTES + _FRAMING_PER_BYTE * self.received:
                raise request_head.malformed("The chunks say too much beside the body.")
        return None

    def late(self) -> Problem | None:
        """Why a request that has begun to arrive is rejected when its time is over; None if none has."""
        if self.receiving is not None:
            return Problem(408, "body-too-slow", f"The body did not arrive within {self._limits.body_s:g} s.")
        if self.head_bytes:
            return Problem(408, "head-too-slow", f"The request's head did not arrive within {self._limits.head_s:g} s.")
        return None

    def end(self) -> None:
        """Nothing will be fed any more: let go of the parser, which is in a circle with this."""
        self._parser = None

    def _reason(self, error: httptools.HttpParserError) -> Exception:
        """Why the parser has stopped."""
        if self._leaving:
            return Elsewhere(b"".join(self._pieces))
        return self._problem or _unreadable(error)

    def _go_on_after_upgrade(self, rest: bytes) -> bytes | None:
        """A websocket's handshake goes to its protocol; of any other, the request is read without its Upgrade."""
        assert self._upgrade is not None, "llhttp stops after a head"
        head, self._upgrade = self._upgrade, None
        if self._handshake:
            if rest:
                raise Problem(400, "websocket-invalid", "A websocket's handshake was not waited for.")
            return head
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserError as error:
            raise self._problem or _unreadable(error) from None
        return self.feed(rest) if rest else None

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        self._url, self._headers = b"", []
        self.head_bytes = self.head_bytes or 1  # it may begin in the piece that ended the last one

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.receiving is None:
            self._headers.append((name.lower(), value))
            return
        # A trailer: dropped, since nobody may take its fields for those of the head (RFC 9110 6.5.1).
        self._trailer += len(name) + len(value) + 4
        if self._trailer > MAX_TRAILER_BYTES:
            self._reject(Problem(431, "head-too-long", "The trailers are too long."))

    def on_headers_complete(self) -> None:
        try:
            self._begin()
        except Problem as problem:
            self._reject(problem)

    def on_body(self, body: bytes) -> None:
        self.received += len(body)
        if self.received > self._cap:
            self._reject(_body_too_long(self._cap))
        self._parts.append(body)

    def on_message_complete(self) -> None:
        call = self.receiving
        if call is None:
            return  # it ends at its Upgrade, and is read again without it
        if self._parts:
            call.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts = []
        self.receiving = None
        self.stays = False
        self._follows = True
        self.head_bytes = 0
        self.invites = False
        self._connection.ready(call)

    def _begin(self) -> None:
        headers, parser = self._headers, self._parser
        if self.head_bytes > MAX_HEAD_BYTES and _size(headers) + len(self._url) > MAX_HEAD_BYTES:
            raise _head_too_long()
        method, version = parser.get_method().decode("ascii"), parser.get_http_version()
        request_head.check_protocol(method, self._url, b"".join(self._pieces), follows=self._follows)
        scope, named = request_head.scope(self._always, method=method, version=version, url=self._url, headers=headers)
        if self._leaves is not None and not (self.stays or self._follows) and self._leaves(scope["path"]):
            self._leaving = True
            raise Elsewhere(b"")
        if parser.should_upgrade():
            if method == "CONNECT":
                raise Problem(501, "method-unsupported", "This server is no proxy.")
            self._handshake = request_head.is_websocket(method, version, named)
            self._upgrade = self._head(method, version, keep_upgrade=self._handshake)
            return
        scope["state"] = self._state.copy()
        self.receiving = AsgiCall(self._connection, scope, keep=parser.should_keep_alive())
        if b"content-length" in named or b"transfer-encoding" in named:
            self._expect_body(scope["path"], version, named)

    def _expect_body(self, path: str, version: str, named: dict[bytes, bytes]) -> None:
        self.received = self._wire = self._trailer = 0
        self._cap = self._limits.max_body_bytes(path)
        if not request_head.has_body(version, named):
            return
        if int(named.get(b"content-length", 0)) > self._cap:
            raise _body_too_long(self._cap)
        self.invites = version == "1.1" and b"100-continue" in named.get(b"expect", b"").lower()

    def _head(self, method: str, version: str, *, keep_upgrade: bool) -> bytes:
        """The head that was read, as bytes again."""
        lines = [f"{method} ".encode() + self._url + f" HTTP/{version}".encode()]
        lines += [name + b": " + value for name, value in self._headers if keep_upgrade or name != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _reject(self, problem: Problem) -> None:
        """Stop the parser, which hides what a callback raises."""
        self._problem = problem
        raise problem


def _size(headers: request_head.Headers) -> int:
    return sum([len(name) + len(value) for name, value in headers])


def _head_too_long() -> Problem:
    return Problem(431, "head-too-long", f"The request's head is too long: at most {MAX_HEAD_BYTES} bytes.")


def _body_too_long(cap: int) -> Problem:
    return Problem(413, "body-too-large", f"A body may hold at most {cap} bytes here.")


def _unreadable(error: httptools.HttpParserError) -> Problem:
    """What llhttp could not read; or a fault of ours in one of its callbacks."""
    if isinstance(error, httptools.HttpParserCallbackError):
        log.error("reading a request failed", exc_info=error.__context__ or error)
        return Problem(500, "internal", "The server failed; the fault is in its log.")
    reason = str(error)
    if reason == "Invalid HTTP version":
        return Problem(505, "version-unsupported", "Use HTTP/1.1.")
    return request_head.malformed(f"{reason}.")
