"""A long response on its way to its caller, part by part, for as long as both sides are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger(__name__)


async def stream(
    chunks: AsyncIterator[bytes], receive: Receive, send: Send, *, path: str, breaks_off: type[Exception]
) -> None:
    """Send the parts as they come, and then the end.

    A caller that hangs up ends the stream at once, also while no part comes: what feeds it is closed. A source that
    breaks off (``breaks_off``) leaves it without an end, so that the server cuts the connection: the caller must not
    take a part for the whole. Both are ordinary.
    """
    sending = asyncio.ensure_future(_send_all(chunks, send))
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        sending.cancel()
        await asyncio.wait((sending,))
    if sending.cancelled():
        return
    if isinstance(error := sending.exception(), breaks_off):
        log.warning("%s broke off in the middle of its response: %s", path, error)
    elif error is not None:
        raise error


async def _send_all(chunks: AsyncIterator[bytes], send: Send) -> None:
    try:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    """Returns when the caller is gone, or has its whole response."""
    while (await receive())["type"] != "http.disconnect":
        pass
