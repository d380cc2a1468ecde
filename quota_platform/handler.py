"""The lean ASGI handler of the gateway's routes.

Stock Django starts a thread for every request under ASGI and hops to one for each middleware and each signal: about
800 us a call. These routes use no ORM, no session and no middleware, so they are resolved, called, sent and closed
inline, on the event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from io import BytesIO
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, get_resolver

from limiter.gateway.answers import problem_answer
from limiter.gateway.problems import Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger(__name__)


class LeanHandler:
    """Serves the views of one urlconf: async views that read the body themselves and answer finished responses."""

    def __init__(self, urlconf: str) -> None:
        self._resolver = get_resolver(urlconf)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = ASGIRequest(scope, BytesIO())
        request.receive = receive  # type: ignore[attr-defined]
        response = await self._respond(request)
        await _send(response, send)

    async def _respond(self, request: ASGIRequest) -> HttpResponseBase:
        try:
            match = self._resolver.resolve(request.path_info)
            request.resolver_match = match
            response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
            return response
        except Problem as problem:
            return problem_answer(problem, request)
        except Resolver404:
            return problem_answer(Problem(404, "not-found", "There is nothing at this address."), request)
        except Exception:
            log.exception("the gateway failed on %s %s", request.method, request.path_info)
            detail = "The gateway failed; the fault is logged under this request ID."
            return problem_answer(Problem(500, "internal", detail), request)


async def _send(response: HttpResponseBase, send: Send) -> None:
    headers = [(name.lower().encode("latin1"), value.encode("latin1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    if isinstance(response, StreamingHttpResponse):
        await _stream(response, send)
    elif isinstance(response, HttpResponse):
        await send({"type": "http.response.body", "body": response.content})


async def _stream(response: StreamingHttpResponse, send: Send) -> None:
    """Send the parts as they come. A stream that breaks off is not ended: the caller must not take it for whole."""
    parts = response.streaming_content
    try:
        async for part in parts:  # type: ignore[union-attr]
            await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        await parts.aclose()  # type: ignore[union-attr]
    await send({"type": "http.response.body", "body": b""})
