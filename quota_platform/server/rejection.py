"""The whole response to what never reached an application, or to what an application left without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from quota_platform.base.ids import new_id
from quota_platform.base.lean.problem import CONTENT_TYPE, Problem
from quota_platform.base.lean.request import identified

_SOME_ID = b"0" * 24


def at_once(problem: Problem, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The response to a connection that is turned away before its first request: made once for many, but for the ID.

    Under overload thousands a second get it, from the processor time of the calls that are served.
    """
    return _for_many(problem, tuple(default_headers)).replace(_SOME_ID, new_id().encode())


@lru_cache(8)
def _for_many(problem: Problem, default_headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """By the very problem, which its guard makes once."""
    return _response(problem, default_headers, None, _SOME_ID.decode())


def response(
    problem: Problem, default_headers: Iterable[tuple[bytes, bytes]], scope: Mapping[str, Any] | None = None
) -> bytes:
    """The problem document, with a head that closes the connection. ``scope``: of the request, where it was read."""
    request_id = ""
    if scope is not None:
        request_id = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin1")
    request_id = identified(request_id)
    return _response(problem, default_headers, scope, request_id)


def _response(
    problem: Problem,
    default_headers: Iterable[tuple[bytes, bytes]],
    scope: Mapping[str, Any] | None,
    request_id: str,
) -> bytes:
    path = "" if scope is None else scope["path"]
    body = problem.body(instance=path, request_id=request_id)
    fields = [
        *((name.decode("latin1"), value.decode("latin1")) for name, value in default_headers),
        *(("content-type", CONTENT_TYPE), ("x-request-id", request_id), ("cache-control", "no-store")),
        *((name.lower(), value) for name, value in problem.fields),
        *(("content-length", str(len(body))), ("connection", "close, upgrade" if problem.status == 426 else "close")),
    ]
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    head = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n{lines}\r\n"
    return head.encode("latin1") + (body if scope is None or scope["method"] != "HEAD" else b"")
