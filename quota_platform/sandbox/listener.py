"""The sandbox's listening socket, which can be closed for a while: nobody is at home, connections are refused."""

from __future__ import annotations

import asyncio

from aiohttp import web


class SandboxListener:
    """One address. :meth:`open` after :meth:`close` listens at the same port again."""

    def __init__(self, server: web.Server, *, host: str, port: int) -> None:
        self._server = server
        self._runner = web.ServerRunner(server, shutdown_timeout=0.5)
        self._host = host
        self._port = port
        self._site: web.TCPSite | None = None
        self._reopening: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self._port

    async def open(self) -> None:
        if self._site is not None:
            return
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, self._host, self._port, backlog=4096)
        await self._site.start()
        self._port = int(self._runner.addresses[0][1])

    async def close(self, *, spare: object = None) -> None:
        """Refuse new connections and drop those there are, but for ``spare``, through which the order came."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        for protocol in self._server.connections:
            if protocol.transport is not None and protocol is not spare:
                protocol.transport.abort()

    def open_after(self, seconds: float) -> None:
        """Listen again in a while."""

        async def later() -> None:
            await asyncio.sleep(seconds)
            await self.open()

        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = asyncio.create_task(later())

    async def opened(self) -> None:
        """Wait for an :meth:`open_after` to have happened."""
        if self._reopening is not None:
            await self._reopening

    async def end(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
        await self._runner.cleanup()
