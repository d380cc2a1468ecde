"""The websocket of the live pages: a door between a page and its viewer in the worker's broadcast."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any
from urllib.parse import parse_qs

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from dashboard.broadcast import Broadcast
from dashboard.streams import FAULT, NO_RIGHT, SILENT, TOO_MANY, Viewer

SEND_TIMEOUT_S = 10.0
_LONGEST_MESSAGE = 200

log = logging.getLogger(__name__)


class DashboardConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One open page. It has no channel of its own: a worker listens once for all, and wakes those it concerns."""

    channel_layer_alias = None
    send_timeout_s = SEND_TIMEOUT_S
    _viewer: Viewer | None = None
    _pushing: asyncio.Task[None] | None = None

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without Channels' look at database connections: no handler here has one, and it costs a thread hop."""
        match message["type"]:
            case "websocket.connect":
                await self.websocket_connect(message)
            case "websocket.receive":
                await self.websocket_receive(message)
            case "websocket.disconnect":
                await self.disconnect(message["code"])
                raise StopConsumer

    async def connect(self) -> None:
        # Accepted first: before that, a browser cannot tell "no right" from "no server".
        await self.accept()
        try:
            code = await self._enter()
        except Exception:
            log.exception("A live page could not be opened")
            code = FAULT
        if code is not None:
            await self.close(code=code)

    async def disconnect(self, code: int) -> None:
        if self._pushing is not None:
            self._pushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pushing
        await self._leave()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """What the page says: how far it has seen, or that it wants a whole frame."""
        if self._viewer is None or text_data is None or len(text_data) > _LONGEST_MESSAGE:
            return
        with contextlib.suppress(ValueError, RecursionError):
            self._viewer.heard(json.loads(text_data))

    async def _enter(self) -> int | None:
        """Take part; the code to close with when that may not be."""
        session_key = self.scope["cookies"].get(settings.SESSION_COOKIE_NAME)
        tenant_id = parse_qs(self.scope["query_string"].decode()).get("tenant", [""])[0]
        seen = await self._broadcast.sight(session_key)
        if seen is None or not seen.of(tenant_id):
            return NO_RIGHT
        seat = await self._broadcast.seats.take(seen.person)
        if seat is None:
            return TOO_MANY
        self._viewer = await self._broadcast.join(session_key, seen, tenant_id=tenant_id, seat=seat)
        self._pushing = asyncio.ensure_future(self._push(self._viewer))
        return None

    async def _push(self, viewer: Viewer) -> None:
        try:
            code = await self._send_frames(viewer)
        except Exception:
            log.exception("A live page is sent to try again")
            code = FAULT
        # Before the close: to a page that is gone it may take long.
        await self._leave()
        await self.close(code=code)

    async def _leave(self) -> None:
        if self._viewer is not None:
            await self._broadcast.leave(self._viewer)

    async def _send_frames(self, viewer: Viewer) -> int:
        """Send the newest frame whenever there is one, until the page is to be closed; the code to close it with."""
        while viewer.ended is None:
            await viewer.wake.wait()
            viewer.wake.clear()
            text = viewer.next() if viewer.ended is None else None
            if text is not None:
                try:
                    async with asyncio.timeout(self.send_timeout_s):
                        await self.send(text_data=text)
                except TimeoutError:
                    return SILENT
        return viewer.ended

    @property
    def _broadcast(self) -> Broadcast:
        broadcast: Broadcast = self.scope["state"]["broadcast"]
        return broadcast
