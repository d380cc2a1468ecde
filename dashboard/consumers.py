"""The websocket of the live pages: a door between a page and its viewer in the worker's broadcast."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from dashboard.broadcast import Broadcast
from dashboard.streams import FAULT, NO_RIGHT, SILENT, TOO_MANY, Viewer
from dashboard.topics import Shown, view_of

SEND_TIMEOUT_S = 10.0
_LONGEST_MESSAGE = 200

log = logging.getLogger(__name__)


class StreamEnded(Exception):
    """The page is to be closed with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class DashboardConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One open page. It has no channel of its own: a worker listens once for all, and wakes those it concerns."""

    send_timeout_s = SEND_TIMEOUT_S

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hear the page and send it frames until either side ends it.

        Not by Channels' own loop, which makes a task for each message. And the close comes last, when nothing waits
        for the page any more: there are web servers that send no close frame while a ``receive`` is under way.
        """
        self.scope, self.base_send = scope, send
        self._viewer: Viewer | None = None
        self._entered = asyncio.Event()
        both = {asyncio.ensure_future(self._hear(receive)), asyncio.ensure_future(self._push())}
        try:
            ended, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            if self._viewer is not None:
                await self._broadcast.leave(self._viewer)
        await self._close(ended.pop())

    async def _close(self, ended: asyncio.Future[None]) -> None:
        """Say why it ended, unless the page left by itself."""
        match ended.exception():
            case None:
                return
            case StreamEnded() as end:
                code = end.code
            case fault:
                log.error("A live page is sent to try again", exc_info=fault)
                code = FAULT
        # A page that takes nothing takes no close either.
        with contextlib.suppress(TimeoutError, RuntimeError, OSError):
            async with asyncio.timeout(self.send_timeout_s):
                await self.close(code=code)

    async def _hear(self, receive: Any) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.connect":
                await self.connect()
            else:
                await self.receive(message.get("text"))

    async def connect(self) -> None:
        """Take part; raises :class:`StreamEnded` when that may not be."""
        # Accepted first: before that, a browser cannot tell "no right" from "no server".
        await self.accept()
        session_key = self.scope["cookies"].get(settings.SESSION_COOKIE_NAME)
        shown = _shown(self.scope["query_string"].decode())
        seen = await self._broadcast.sight(session_key, shown)
        if seen is None or not seen.of(shown):
            raise StreamEnded(NO_RIGHT)
        seat = await self._broadcast.seats.take(seen.person)
        if seat is None:
            raise StreamEnded(TOO_MANY)
        self._viewer = await self._broadcast.join(session_key, seen, shown=shown, seat=seat)
        self._entered.set()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """What the page says: how far it has seen, or that it wants a whole frame."""
        if self._viewer is None or text_data is None or len(text_data) > _LONGEST_MESSAGE:
            return
        with contextlib.suppress(ValueError, RecursionError):
            self._viewer.heard(json.loads(text_data))

    async def _push(self) -> None:
        """Send the newest frame whenever there is one; raises :class:`StreamEnded` when the page is to be closed."""
        await self._entered.wait()
        assert self._viewer is not None
        while self._viewer.ended is None:
            text = self._viewer.next()
            if text is None:
                await self._viewer.wake.wait()
                self._viewer.wake.clear()
            elif not await self._sent(text):
                return
        raise StreamEnded(self._viewer.ended)

    async def _sent(self, text: str) -> bool:
        """Whether the page is still there; raises :class:`StreamEnded` if it does not read its frames."""
        try:
            async with asyncio.timeout(self.send_timeout_s):
                await self.send(text_data=text)
        except TimeoutError:
            raise StreamEnded(SILENT) from None
        except (RuntimeError, OSError):
            return False
        return True

    @property
    def _broadcast(self) -> Broadcast:
        broadcast: Broadcast = self.scope["state"]["broadcast"]
        return broadcast


def _shown(query: str) -> Shown:
    """What the page is about whose websocket has this address."""
    given = {name: values[0] for name, values in parse_qs(query).items()}
    if "connection" in given:
        return view_of(given["connection"], given.get("limit", ""), given)
    return given.get("tenant", "")
