"""The lean ASGI handler: for views that need no thread.

Stock Django starts a thread for every request under ASGI and hops to one for each middleware and each signal: about
800 us a call. These routes use no ORM, no session and no middleware, so they are resolved, called, sent and closed
inline, on the event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from django.urls import Resolver404, get_resolver

from quota_platform.base.lean.problem import Problem
from quota_platform.base.lean.request import LeanRequest
from quota_platform.base.lean.response import LeanResponse, problem_response
from quota_platform.server.asgi_call import WHOLE, AsgiCall
from quota_platform.server.streaming import stream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PATHS_KEPT = 8192

log = logging.getLogger(__name__)


class LeanHandler:
    """Serves the views of one urlconf: async views that return a response, or raise a problem.

    ``breaks_off``: what the parts of a long response may raise when their source breaks off, which is ordinary.
    ``missing``: the response for an address that leads nowhere; by default a problem.
    """

    def __init__(
        self, urlconf: str, *, breaks_off: type[Exception], missing: Callable[[LeanRequest], LeanResponse] | None = None
    ) -> None:
        self._breaks_off = breaks_off
        self._missing = missing or not_found
        self._resolve = lru_cache(_PATHS_KEPT)(get_resolver(urlconf).resolve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call: AsgiCall | None = scope["extensions"].get(WHOLE) if "extensions" in scope else None
        content = await _whole_body(receive) if call is None else call.whole_body()
        request = LeanRequest(scope, content, departure=call)
        try:
            match = self._resolve(request.path_info)
            response: LeanResponse = await match.func(request, *match.args, **match.kwargs)
        except Resolver404:
            response = self._missing(request)
        except Exception as error:
            response = _failed(error, request)
        if call is not None and response.chunks is None:
            await call.response(response.status, response.fields, response.body)
            return
        fields = [(name.encode("latin1"), value.encode("latin1")) for name, value in response.fields]
        await send({"type": "http.response.start", "status": response.status, "headers": fields})
        if response.chunks is None:
            await send({"type": "http.response.body", "body": response.body})
        else:
            await stream(response.chunks, receive, send, path=request.path_info, breaks_off=self._breaks_off)


def not_found(request: LeanRequest) -> LeanResponse:
    """The problem of an address that leads nowhere."""
    return problem_response(Problem(404, "not-found", "There is nothing at this address."), request)


def _failed(error: Exception, request: LeanRequest) -> LeanResponse:
    """A problem as a response; anything else is a fault of ours."""
    if isinstance(error, Problem):
        return problem_response(error, request)
    log.error("the gateway failed on %s %s", request.method, request.path_info, exc_info=error)
    detail = "The gateway failed; the fault is logged under this request ID."
    return problem_response(Problem(500, "internal", detail), request)


async def _whole_body(receive: Receive) -> bytes:
    """The body, from a server that hands it on piece by piece; what bounds it is the server."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body
