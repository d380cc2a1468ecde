"""Puts a response on the wire, whole or as a fault requires."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from aiohttp import web

from quota_platform.sandbox.responses import Manner, SandboxResponse


async def send(request: web.BaseRequest, reply: SandboxResponse, *, trace_id: str) -> web.StreamResponse:
    """Send ``reply``. aiohttp finishes the returned response; for a broken connection there is nothing to finish."""
    headers = {"x-trace-id": trace_id}
    if reply.content_type is not None:
        headers["Content-Type"] = reply.content_type
    if reply.headers:
        headers |= reply.headers
    if reply.manner is Manner.WHOLE:
        return web.Response(status=reply.status, body=reply.body or None, headers=headers)
    if reply.manner is Manner.DRIP:
        return await _drip(request, reply, headers)
    if reply.manner is Manner.RESET_MID_BODY:
        return await _half(request, reply, headers)
    hang_up(request, reset=reply.manner is Manner.RESET_BEFORE_HEADERS)
    return web.Response()


async def _drip(request: web.BaseRequest, reply: SandboxResponse, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(reply.body)
    await response.prepare(request)
    for start in range(0, len(reply.body), reply.chunk_bytes):
        await response.write(reply.body[start : start + reply.chunk_bytes])
        await asyncio.sleep(reply.chunk_ms / 1000)
    return response


async def _half(request: web.BaseRequest, reply: SandboxResponse, headers: dict[str, str]) -> web.StreamResponse:
    """Promise the whole length, send half of it, and reset the connection."""
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(reply.body)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    hang_up(request, reset=True)
    return response


def hang_up(request: web.BaseRequest, *, reset: bool) -> None:
    """Drop the connection. ``reset``: with RST instead of FIN, so that the client sees "connection reset by peer"."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        # uvloop does not let its own socket object be changed; the option belongs to the open file, so a
        # duplicate of the descriptor will do.
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
