"""uvicorn's websocket protocol, with the seat of the connection that became one."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from quota_platform.server.guard import Seat


class Websocket(WebSocketsSansIOProtocol):
    """``seat`` is given back when the connection ends."""

    seat: Seat | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.seat is not None:
            self.seat.release()
