"""HTTP/1.1 as the web role speaks it: an asyncio protocol of our own, run by uvicorn in place of its own.

It runs on the loop's own thread: a server that reads its callers on another one hands the interpreter's lock to and fro
for every call, which costs as much as deciding it. uvicorn's protocol sets no bound on the time and the length of a
head and a body, nor on a caller that does not read its response, and costs twice this one.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from quota_platform.base import addresses
from quota_platform.base.lean.problem import Problem
from quota_platform.server import rejection, request_head
from quota_platform.server.asgi_call import AsgiCall
from quota_platform.server.deadline import Deadline
from quota_platform.server.draining import DRAINING
from quota_platform.server.farewell import READ_ON_S, Farewell
from quota_platform.server.guard import Arrival, Guard, Seat
from quota_platform.server.request_reader import Data, RequestReader

SLICE_BYTES = 65_536
"""Parsed at a time: of requests that were sent ahead, no more are made than these bytes hold."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
NOTHING = memoryview(b"")


class Http1(asyncio.Protocol):
    """One caller's connection: requests one after the other, pipelined ones answered in their order."""

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
        self._guard = Guard.of(app_state)
        self._limits = self._guard.limits
        self._seat: Seat | None = None
        self._always: dict[str, Any] = {}
        self._peer = ""
        self._reader: RequestReader = cast(RequestReader, None)
        self._first = b""
        """The bytes read from a connection before it was taken over."""
        self._unread = NOTHING
        """What came behind requests that wait to be answered."""
        self._arrival = Arrival(self._guard)
        self._serving: AsgiCall | None = None
        self._queue: deque[AsgiCall] = deque()
        self._farewell: Farewell | None = None
        """The last response, sent after those before it."""
        self.half_closed = False
        self.writable = asyncio.Event()
        self.writable.set()
        self._idle = self._paused = self._stopping = False
        look_s = min(self._limits.head_s, self._limits.keep_alive_s)
        self._deadline = Deadline(self.loop, look_s=look_s, late=self._end_late)

    def turn_away(self, peer: str) -> bytes:
        """The response for a caller who is not admitted; empty: it is, and has its seat. Asked before there is more."""
        admitted = self._guard.admit(addresses.shortest(peer))
        if isinstance(admitted, Problem):
            self._guard.count(admitted, peer=peer)
            return rejection.at_once(admitted, self.shared.default_headers)
        self._seat = admitted
        return b""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._peer = request_head.peer_of(self.transport)
        if self._seat is None and (response := self.turn_away(self._peer)):
            self.transport.write(response)
            self.transport.close()
            return
        self._always = request_head.of_connection(self.transport, root_path=self._config.root_path)
        self._reader = self._new_reader()
        self.shared.connections.add(self)  # type: ignore[arg-type]
        self._deadline.set(self._limits.head_s)

    def _new_reader(self) -> RequestReader:
        return RequestReader(self, self._limits, self._always, self._state)

    def data_received(self, data: bytes) -> None:
        if self._first:
            data, self._first = self._first + data, b""
        if self._idle:
            self._idle = False
            self._deadline.due = self.loop.time() + self._limits.head_s
        if len(data) <= SLICE_BYTES and not self._unread:
            self._feed(data)
        else:
            self._unread = memoryview(bytes(self._unread) + data)
            self._read_on()

    def eof_received(self) -> bool:
        """The caller sends no more. It gets the responses that have not begun; it no longer reads one that has."""
        if self._seat is None or self._is_leaving() or (self._serving is not None and self._serving.started):
            return False
        self.half_closed = True
        if self._serving is not None:
            self._serving.leave()
        if self._serving is None and self._reader.head_bytes:
            self._reject(Problem(400, "request-malformed", "The request is not HTTP/1.1: it ends in the middle."))
        return self._serving is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.connections.discard(self)
        if self._seat is not None:
            self._seat.release()
        self._deadline.end()
        self._arrival.end()
        if self._serving is not None:
            self._serving.lose()
        self._queue.clear()
        self._unread = NOTHING
        self.writable.set()
        self._leave_reader()

    def _leave_reader(self) -> None:
        if self._reader is not None:
            self._reader.end()
        self._reader = cast(RequestReader, None)

    def pause_writing(self) -> None:
        self.writable.clear()
        self._deadline.set(self._limits.stalled_s)

    def resume_writing(self) -> None:
        self.writable.set()
        if self._arrival.call is not None:
            self._deadline.set(self._limits.body_s)
        elif self._serving is None:
            self._rest()
        else:
            self._deadline.due = math.inf

    # Requests

    def ready(self, call: AsgiCall) -> None:
        """A request is whole: it is served, after those before it."""
        self._deadline.due = math.inf
        if self._arrival.call is not None:
            self._arrival.end()
        if self._stopping or DRAINING in self._state:
            call.keep = False
        if self._serving is None:
            self._start(call)
        else:
            self._queue.append(call)
            self._pause_reading()

    def _feed(self, data: Data) -> None:
        if self._farewell is not None:
            self._farewell.heard(self.transport, len(data))
            return
        if self._seat is None:
            return
        try:
            handshake = self._reader.feed(data)
            if handshake is not None:
                self._hand_over(handshake)
            elif self._reader.receiving is not None:
                self._await_body()
        except Problem as problem:
            self._reject(problem)

    def _read_on(self) -> None:
        """Parse the unread bytes, up to the first request that has to wait."""
        while self._unread and not self._queue and not self.transport.is_closing():
            piece, self._unread = self._unread[:SLICE_BYTES], self._unread[SLICE_BYTES:]
            self._feed(piece)

    def _await_body(self) -> None:
        """A body is not whole yet: it gets a deadline, and counts among those that are arriving."""
        if self._arrival.begins(self._reader.receiving):
            self._deadline.set(self._limits.body_s)
            self._invite()
        self._arrival.count(self._reader.received)

    def _invite(self) -> None:
        """Ask for the body of a caller that waits to be asked, unless a response before it has still to be sent."""
        if self._reader.invites and self._serving is None:
            self._reader.invites = False
            self.transport.write(_CONTINUE)

    def _hand_over(self, handshake: bytes) -> None:
        """The connection becomes a websocket: its protocol reads the request once more. Raises Problem."""
        if self._serving is not None:
            raise Problem(400, "websocket-invalid", "A websocket's handshake waits for the responses before it.")
        self._deadline.end()
        self._leave_reader()
        self.shared.connections.discard(self)
        made: Any = cast(Any, self._config.ws_protocol_class)(
            config=self._config, server_state=self.shared, app_state=self._state
        )
        made.seat, self._seat = self._seat, None
        made.connection_made(self.transport)
        self.transport.set_protocol(made)
        made.data_received(handshake)

    def _pause_reading(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused and not self.half_closed:
            self._paused = False
            self.transport.resume_reading()

    # Responses

    def _start(self, call: AsgiCall) -> None:
        self._serving = call
        call.left = self.half_closed
        call.start(self._app)

    def answered(self, call: AsgiCall) -> None:
        """A call has its whole response: the next one's turn."""
        self.shared.total_requests += 1
        self._serving = None
        if self.transport.is_closing():
            return
        if not call.keep:
            self.transport.close()
        elif self._queue:
            self._start(self._queue.popleft())
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Every request that was read has its response."""
        if self._unread:
            self._read_on()
            if self._serving is not None:
                if not self._queue:
                    self._resume_reading()
                return
        if self._farewell is not None:
            if not self._farewell.said:
                self._say(self._farewell)
        elif self.half_closed:
            self.transport.close()
        else:
            self._resume_reading()
            self._invite()
            self._rest()

    def shutdown(self) -> None:
        """The server stops: a request that has begun to arrive, or lies in the socket, is the last one served."""
        self._stopping = True
        if self._serving is None:
            self.loop.call_later(self.linger_s, self._close_if_idle)
        else:
            (self._queue[-1] if self._queue else self._serving).keep = False

    def _close_if_idle(self) -> None:
        if not self.transport.is_closing() and self._serving is None and self._reader.head_bytes == 0:
            self.transport.close()

    def _reject(self, problem: Problem) -> None:
        """Reject bytes that are no servable request, after the responses to earlier requests, and close."""
        self._guard.count(problem, peer=self._peer)
        receiving = self._reader.receiving
        scope = None if receiving is None else receiving.scope
        self._farewell = Farewell(rejection.response(problem, self.shared.default_headers, scope))
        self._unread = NOTHING
        self._arrival.end()
        if self._serving is None:
            self._say(self._farewell)
        else:
            self._deadline.due = math.inf
            self._pause_reading()

    def _say(self, farewell: Farewell) -> None:
        if farewell.say(self.transport, half_closed=self.half_closed):
            self._resume_reading()
            self._deadline.set(READ_ON_S)

    def _is_leaving(self) -> bool:
        return self._farewell is not None and self._farewell.said

    # Deadlines

    def _rest(self) -> None:
        """No call is being served: the next head may be long in coming, but one that has begun to arrive may not."""
        if self._reader.receiving is not None:
            return
        self._idle = self._reader.head_bytes == 0
        self._deadline.due = self.loop.time() + (self._limits.keep_alive_s if self._idle else self._limits.head_s)

    def _end_late(self) -> None:
        if self._is_leaving():
            self.transport.abort()
        elif not self.writable.is_set():
            stalled = Problem(408, "response-stalled", "The caller did not take its response.")
            self._guard.count(stalled, peer=self._peer)
            self.transport.abort()  # what the caller does not take would keep it open
        elif (late := self._reader.late()) is not None:
            self._reject(late)
        else:
            self.transport.close()
