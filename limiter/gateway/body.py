"""A caller's body, read with a cap and a deadline, and checked to be JSON."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from limiter.gateway.problems import Problem
from tenants import json_text


class CallerGone(Exception):
    """The caller hung up while it was sending its body."""


async def read(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    *,
    declared: str,
    cap: int,
    timeout_s: float,
    at_hand: bytes | None = None,
) -> bytes:
    """The whole body; raises Problem 413 above ``cap`` bytes and 408 after ``timeout_s``.

    ``declared`` is the Content-Length: a body that says it is too large is not read at all. ``at_hand``: the body,
    when nothing is left to be received.
    """
    if at_hand is not None:
        if len(at_hand) > cap:
            raise _too_large(cap)
        return at_hand
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > cap):
        raise _too_large(cap)
    try:
        async with asyncio.timeout(timeout_s):
            message = await receive()
            body: bytes = message.get("body", b"")
            if not message.get("more_body"):
                return _whole(message, body, cap)
            parts, size = [body], len(body)
            while message.get("more_body"):
                message = await receive()
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > cap:
                    raise _too_large(cap)
            return _whole(message, b"".join(parts), cap)
    except TimeoutError:
        raise Problem(
            408, "body-too-slow", f"The body did not arrive within {timeout_s:g} s.", fields=(("Connection", "close"),)
        ) from None


def _whole(message: MutableMapping[str, Any], body: bytes, cap: int) -> bytes:
    if message["type"] == "http.disconnect":
        raise CallerGone
    if len(body) > cap:
        raise _too_large(cap)
    return body


def _too_large(cap: int) -> Problem:
    return Problem(413, "body-too-large", f"A body may hold at most {cap} bytes.", fields=(("Connection", "close"),))


def check_json(body: bytes) -> None:
    """Raise Problem 400 unless ``body`` is empty or one JSON text (RFC 8259: UTF-8, no NaN) of whole characters."""
    if not body:
        return
    try:
        _DECODER.decode(str(body, "utf-8"))
        if not _ESCAPED_HALF.search(body):
            return
    except (ValueError, RecursionError):
        pass  # read once more, slowly, for what is wrong and where
    try:
        json_text.read(body, storable=False)
    except json_text.JsonRefused as error:
        raise Problem(400, "body-not-json", f"The body is not JSON that can be sent on. {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""The only way that half of a surrogate pair gets into UTF-8; whole pairs are written so too."""
