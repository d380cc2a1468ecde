"""The websocket of the live pages: sends the newest frame once a second to whoever may see it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from urllib.parse import parse_qs

from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from dashboard.live import Live
from dashboard.viewers import visible

SEND_TIMEOUT_S = 10.0
MOST_PER_PERSON = 20
NO_RIGHT = 4403
TOO_MANY = 4429

_open: Counter[str] = Counter()


class DashboardConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One viewer. A frame is made when the last one is sent, so that a slow viewer gets the newest and no queue."""

    every_s = 1.0
    check_again_s = 30.0
    session_key: str | None = None
    _pushing: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        # Accepted first: before that, a browser cannot tell "no right" from "no server".
        await self.accept()
        self.session_key = self.scope["cookies"].get(settings.SESSION_COOKIE_NAME)
        self.tenant_id = parse_qs(self.scope["query_string"].decode()).get("tenant", [""])[0]
        if not await self._may_see():
            await self.close(code=NO_RIGHT)
            return
        if _open[self.session_key or ""] >= MOST_PER_PERSON:
            await self.close(code=TOO_MANY)
            return
        _open[self.session_key or ""] += 1
        self._pushing = asyncio.ensure_future(self._push())

    async def disconnect(self, code: int) -> None:
        if self._pushing is None:
            return
        _open[self.session_key or ""] -= 1
        if not _open[self.session_key or ""]:
            del _open[self.session_key or ""]
        self._pushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pushing

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A viewer asks for a whole frame after a gap; every frame is whole, so the next one is the answer."""

    async def _may_see(self) -> bool:
        seen = await sync_to_async(visible, thread_sensitive=False)(self.session_key)
        self.tenant_ids = seen or []
        return seen is not None and (not self.tenant_id or self.tenant_id in seen)

    async def _push(self) -> None:
        live: Live = self.scope["state"]["live"]
        checked = time.monotonic()
        while True:
            if time.monotonic() - checked >= self.check_again_s:
                checked = time.monotonic()
                if not await self._may_see():
                    await self.close(code=NO_RIGHT)
                    return
            text = await (live.tenant(self.tenant_id) if self.tenant_id else live.overview(self.tenant_ids))
            try:
                await asyncio.wait_for(self.send(text_data=text), SEND_TIMEOUT_S)
            except TimeoutError:
                await self.close()
                return
            await asyncio.sleep(self.every_s)
