"""A connection handed from one web process to another: its descriptor, and the bytes that were read from it.

One link for each connection. The sender keeps its copy until the receiver has confirmed that it took the connection
over, so that a receiver that ends before loses nothing: the sender goes on with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable

from quota_platform.server.neighbours import is_own

MAX_BYTES = 1_048_576
"""Read from a connection before it is handed over: a head, and what came with it."""
_HEAD = struct.Struct("!4sI")
_FORMAT = b"QHO1"
"""The last character is the format's number. A receiver of another release declines any other."""
_TAKEN, _DECLINED = b"\1", b"\0"
_AT_ONCE = 16
_BACKLOG = 1024
"""Connections that may wait to be taken over; a sender keeps those beyond."""
_REST_S = 0.1
"""How long no link is taken when this process may open no more files."""

Take = Callable[[socket.socket, bytes], bool]
"""Takes a connection over with the bytes read from it; returns False to decline it."""


class Parting:
    """A connection on its way out. ``done`` is called once, with whether it was taken over; not after a cancel."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        link: socket.socket,
        *,
        fd: int,
        read: bytes,
        done: Callable[[bool], None],
    ) -> None:
        self._loop = loop
        self._link = link
        self._fd: int | None = fd
        self._left = memoryview(_HEAD.pack(_FORMAT, len(read)) + read)
        self._done = done
        self._waits = False
        self._start = loop.call_soon(self._send)

    def cancel(self) -> None:
        """The connection is gone."""
        self._start.cancel()
        self._loop.remove_reader(self._link)
        self._loop.remove_writer(self._link)
        self._link.close()

    def _send(self) -> None:
        try:
            while self._left:
                fds = [] if self._fd is None else [self._fd]
                sent = socket.send_fds(self._link, [self._left], fds)
                self._fd, self._left = None, self._left[sent:]
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._link, self._send)
            return
        except OSError:
            self._end(taken=False)
            return
        self._loop.remove_writer(self._link)
        self._loop.add_reader(self._link, self._hear)

    def _hear(self) -> None:
        try:
            heard = self._link.recv(1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            heard = b""
        self._end(taken=heard == _TAKEN)

    def _end(self, *, taken: bool) -> None:
        self.cancel()
        self._done(taken)


class Receiving:
    """Listens, and takes the links that come, and with each the connection that it brings."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listening: socket.socket, take: Take) -> None:
        self._loop = loop
        self._listening = listening
        self._take = take
        self._arrivals: set[_Arrival] = set()
        self._rest: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        listening.listen(_BACKLOG)
        self._open()

    def close(self) -> None:
        """Take no more. A connection that is not whole yet stays with its sender."""
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for arrival in list(self._arrivals):
            arrival.end()

    def _open(self) -> None:
        self._rest = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                link, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(self._listening)
                self._rest = self._loop.call_later(_REST_S, self._open)
                return
            if is_own(link):
                self._arrivals.add(_Arrival(self._loop, link, self._take, ended=self._arrivals.discard))
            else:
                link.close()


class _Arrival:
    """One link, read until its connection is here with all that belongs to it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, link: socket.socket, take: Take, *, ended: Callable[[_Arrival], None]
    ) -> None:
        self._loop = loop
        self._link = link
        self._take = take
        self._ended = ended
        self._read = bytearray()
        self._fd: int | None = None
        link.setblocking(False)
        loop.add_reader(link, self._more)

    def end(self) -> None:
        """Close the link; a connection that was not taken over is closed here, and goes on where it came from."""
        self._loop.remove_reader(self._link)
        self._link.close()
        if self._fd is not None:
            os.close(self._fd)
        self._ended(self)

    def _more(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._link, 65_536, 1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, fds = b"", []
        if fds:
            self._fd = fds[0]
        self._read += data
        if not data or (ready := self._is_whole()) is None:
            self.end()
        elif ready:
            self._hand_on()

    def _is_whole(self) -> bool | None:
        """None for anything but a connection in a format that this release reads."""
        if len(self._read) < _HEAD.size:
            return False
        form, length = _HEAD.unpack_from(self._read)
        if form != _FORMAT or length > MAX_BYTES or self._fd is None:
            return None
        return bool(len(self._read) >= _HEAD.size + length)

    def _hand_on(self) -> None:
        """Confirm, and only then let it be served: the sender lets go of its copy."""
        assert self._fd is not None
        connection, self._fd = socket.socket(fileno=self._fd), None
        connection.setblocking(False)
        taken = self._take(connection, bytes(self._read[_HEAD.size :]))
        if not taken:
            connection.close()
        with contextlib.suppress(OSError):  # its sender is gone: nobody else has the connection now
            self._link.send(_TAKEN if taken else _DECLINED)
        self.end()
