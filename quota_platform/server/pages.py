"""Django's pages under ASGI, each served whole in one thread, and few of them at once.

Django's own handler goes to a thread and back for each middleware that is not async. Every way back waits for a turn of
the loop, and under overload a turn takes long: a page would wait for some twenty of them.

The threads of a process compute by turns. Ten pages at once would be ready no sooner than one after the other, and
leave a twelfth of the processor to the loop and to the threads that read for live pages.
"""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from quota_platform.server.turns import Turns

AT_ONCE, TURN_S = 3, 1.0
"""One computes while others wait for the database."""


class Pages(ASGIHandler):
    """The middleware and the view run one after the other, as under WSGI."""

    def __init__(self, *, at_once: int = AT_ONCE, turn_s: float = TURN_S) -> None:
        super().__init__()
        self._at_once, self._turn_s = at_once, turn_s
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        respond: Any = sync_to_async(self.get_response, thread_sensitive=True)
        async with self._of_this_loop().turn():
            response: HttpResponseBase = await respond(request)
        return response

    def _of_this_loop(self) -> Turns:
        loop = asyncio.get_running_loop()
        if loop not in self._turns:
            self._turns[loop] = Turns(self._at_once, turn_s=self._turn_s)
        return self._turns[loop]
