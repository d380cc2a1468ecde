"""What the kernel knows of a connection before the event loop does."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import termios

_RTT_AT = 68
"""Where struct tcp_info of linux/tcp.h has the round trip and its variance, in microseconds."""
_TELLS_UNACKNOWLEDGED = sys.platform == "linux"


class Peek:
    """Looks at a transport's socket without reading from it; good for as long as the transport is open."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._socket: int = transport.get_extra_info("socket").fileno()
        self._arrived = select.poll()
        self._arrived.register(self._socket, select.POLLIN)
        self._count = bytearray(4)

    def pending(self) -> bool:
        """Something has arrived and was not read yet: bytes, or the end of the connection."""
        return bool(self._arrived.poll(0))

    def round_trip_s(self) -> float:
        """How long TCP lets the way there and back take, variance included; 0 where the kernel does not say."""
        if not _TELLS_UNACKNOWLEDGED:
            return 0.0
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._socket)) as same:
            data = same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT_AT + 8)
            if len(data) == _RTT_AT + 8:
                rtt_us, variance_us = struct.unpack_from("=II", data, _RTT_AT)
                return float(rtt_us + 4 * variance_us) / 1e6
        return 0.0

    def unsent(self) -> int:
        """Bytes written that the other side's TCP has not acknowledged: nobody there has read them.

        Where the kernel does not say (it does on Linux), those that have not left this process.
        """
        unsent = self._transport.get_write_buffer_size()
        if _TELLS_UNACKNOWLEDGED:
            with contextlib.suppress(OSError):  # a kernel that does not know the question
                fcntl.ioctl(self._socket, termios.TIOCOUTQ, self._count)
                unsent += int.from_bytes(self._count, sys.byteorder)
        return unsent
