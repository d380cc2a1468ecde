"""An ASGI application called without a server: for tests that look at one response, header by header."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


@dataclass
class Answered:
    """The messages an application sent. ``ended``: the body was marked as whole."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """Calls ``app`` with ``state`` as its lifespan left it."""

    app: App
    state: dict[str, Any]

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] = b"",
        headers: Iterable[tuple[str, str]] = (),
        query: str = "",
        client: str = "192.0.2.7",
    ) -> Answered:
        """One request. ``body`` as several parts arrives as several messages."""
        parts = [body] if isinstance(body, bytes) else list(body)
        raw = [(name.lower().encode(), value.encode("latin1")) for name, value in headers]
        if isinstance(body, bytes) and body:
            raw.append((b"content-length", str(len(body)).encode()))
        messages = [
            {"type": "http.request", "body": part, "more_body": at < len(parts) - 1} for at, part in enumerate(parts)
        ]
        answered = Answered()

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.headers = {n.decode(): v.decode("latin1") for n, v in message["headers"]}
            else:
                answered.body += message.get("body", b"")
                answered.ended = not message.get("more_body", False)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": raw,
            "client": (client, 50000),
            "server": ("testserver", 80),
            "state": dict(self.state),
        }
        await self.app(scope, receive, send)
        return answered
