"""An ASGI application behind a real socket, on the test's own event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

from aiohttp import web

from tests.asgi import App


@contextlib.asynccontextmanager
async def served(app: App, *, state: dict[str, Any]) -> AsyncIterator[str]:
    """Serve ``app`` on loopback, with ``state`` as its lifespan left it; yields the base URL."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        response = web.StreamResponse()

        async def receive() -> dict[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                response.set_status(message["status"])
                for name, value in message["headers"]:
                    response.headers.add(name.decode(), value.decode("latin1"))
                await response.prepare(request)
            elif message.get("body"):
                await response.write(message["body"])

        await app(_scope(request, state), receive, send)
        await response.write_eof()
        return response

    server = web.Server(handle)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def _scope(request: web.BaseRequest, state: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.rel_url.raw_path.encode(),
        "query_string": request.rel_url.raw_query_string.encode(),
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": dict(state),
    }
