"""How a rejected caller's connection ends: with the reason, which the bytes that it still sends must not undo."""

from __future__ import annotations

import asyncio

READ_ON_S = 2.0
_READ_ON_BYTES = 1_048_576
"""How long, and of how much, a rejected caller is still read, so that its unread bytes do not undo its response."""


class Farewell:
    """The last response of a connection."""

    def __init__(self, response: bytes) -> None:
        self._response = response
        self._left = 0
        """Bytes that are still read."""

    @property
    def said(self) -> bool:
        """It is written, and the caller is still read."""
        return self._left != 0

    def say(self, transport: asyncio.Transport, *, half_closed: bool) -> bool:
        """Write it, and read on for a while if this is true: closed at once, it would be reset, the reason lost."""
        if transport.is_closing():
            return False
        transport.write(self._response)
        if half_closed or not transport.can_write_eof():
            transport.close()
            return False
        transport.write_eof()
        self._left = _READ_ON_BYTES
        return True

    def heard(self, transport: asyncio.Transport, length: int) -> None:
        """So many bytes came, before it is said or after."""
        if self.said:
            self._left -= length
            if self._left <= 0:
                transport.abort()
