"""The protocol of a web process that shares its callers with others: each connection goes where its requests belong.

A page computes for tenths of a second in a thread, and the calls of the same process would wait for the interpreter
meanwhile. A connection whose next request belongs to a process of the other group is handed to it between two
requests, back and forth as they come: a proxy sends calls and pages over the same connections.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import Any

from quota_platform.base import addresses
from quota_platform.base.lean.problem import Problem
from quota_platform.server.handover import MAX_BYTES, Parting
from quota_platform.server.http1 import NOTHING, Http1
from quota_platform.server.neighbours import Neighbours
from quota_platform.server.request_reader import Data, Elsewhere, RequestReader


class MovingHttp1(Http1):
    """Stays Http1 where the process has no neighbours, and for a request that none of them takes over."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._neighbours = Neighbours.of(self._state)
        self._parting: Parting | None = None

    def takes_over(self, peer: str, read: bytes) -> bool:
        """Whether there is a seat for the connection, which continues with these bytes once it is made."""
        admitted = self._guard.admit(addresses.shortest(peer))
        if isinstance(admitted, Problem):
            return False
        self._seat, self._first = admitted, read
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._first:
            self._reader.stays = True
            self.loop.call_soon(self._read_first)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._parting is not None:
            self._parting.cancel()
        super().connection_lost(exc)

    def _read_first(self) -> None:
        """Unless something more has come by now, and was read behind it."""
        if self._first and not self.transport.is_closing():
            self.data_received(b"")

    def _new_reader(self) -> RequestReader:
        over_tls = self._always["scheme"] == "https"
        leaves = None if self._neighbours is None or over_tls else self._leaves
        return RequestReader(self, self._limits, self._always, self._state, leaves=leaves)

    def _leaves(self, path: str) -> bool:
        assert self._neighbours is not None
        if self._serving is not None or not self._neighbours.elsewhere(path):
            return False
        return not self.transport.get_write_buffer_size()  # the end of the last response would be lost with it

    def _feed(self, data: Data) -> None:
        try:
            super()._feed(data)
        except Elsewhere as found:
            self._part(found.read)

    def _part(self, read: bytes) -> None:
        """Hand the connection to a process that such requests belong to."""
        assert self._neighbours is not None
        read, self._unread = read + bytes(self._unread), NOTHING
        link = self._neighbours.reach() if len(read) <= MAX_BYTES else None
        if link is None:
            self._stay(read)
            return
        self._deadline.due = math.inf
        self._pause_reading()
        fd = self.transport.get_extra_info("socket").fileno()
        self._parting = Parting(self.loop, link, fd=fd, read=read, done=partial(self._parted, read))

    def _parted(self, read: bytes, taken: bool) -> None:
        self._parting = None
        if taken:
            self.transport.abort()  # only this process's copy ends
        elif not self.transport.is_closing():
            self._stay(read)

    def _stay(self, read: bytes) -> None:
        """Serve this request here after all."""
        self._leave_reader()
        self._reader = self._new_reader()
        self._reader.stays = True
        self._deadline.due = self.loop.time() + self._limits.head_s
        self._resume_reading()
        self.data_received(read)
