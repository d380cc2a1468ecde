"""Starts and stops a sandbox: in this event loop, or in a thread of its own for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from quota_platform.sandbox.app import App
from quota_platform.sandbox.control import PREFIX
from quota_platform.sandbox.listener import SandboxListener
from quota_platform.sandbox.state import SandboxState

LARGEST_HEAD = 128 * 1024


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers."""

    base_url: str
    state: SandboxState
    listener: SandboxListener

    @property
    def control_url(self) -> str:
        return self.base_url + PREFIX

    @property
    def address(self) -> str:
        """``host:port``, as the SANDBOX_HOSTS setting wants it."""
        return self.base_url.partition("//")[2]


@contextlib.asynccontextmanager
async def running(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clients: Mapping[str, str] | None = None,
    access_keys: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """A sandbox in this event loop; port 0 picks a free one. ``options`` are those of :class:`State`."""
    state = SandboxState(clients=clients, access_keys=access_keys, **options)
    async with serving(state, host=host, port=port) as sandbox:
        yield sandbox


@contextlib.asynccontextmanager
async def serving(state: SandboxState, *, host: str, port: int) -> AsyncIterator[Running]:
    """Serve a state that was made already."""
    # A caller that hangs up ends its call: held calls must not pile up, and the log shall say that it left.
    server = web.Server(
        App(state).handle,
        handler_cancellation=True,
        access_log=None,
        max_line_size=LARGEST_HEAD,
        max_field_size=LARGEST_HEAD,
    )
    listener = state.listener = SandboxListener(server, host=host, port=port)
    try:
        await listener.open()
        name = f"[{host}]" if ":" in host else host
        state.base_url = state.tokens.issuer = f"http://{name}:{listener.port}"
        yield Running(state.base_url, state, listener)
    finally:
        state.let_go()
        await listener.end()


@contextlib.contextmanager
def running_in_thread(**options: Any) -> Iterator[Running]:
    """The same for code that blocks. Drive it through ``control_url``: ``state`` belongs to the other thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()

    def call(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    manager = running(**options)
    try:
        yield call(manager.__aenter__())
    finally:
        call(manager.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
