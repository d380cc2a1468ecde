"""The upstream every contender calls: fixed JSON after a delay that the path names, and a token for every request.

``…/delay-200/…`` waits 200 ms; any other path answers at once. It does the least that HTTP/1.1 allows, because its
share of the machine is taken from the contenders. Run it with ``python -m tests.bench.upstream PORT``.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

_DELAY = re.compile(rb"delay-(\d{1,5})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BLANK = b"\r\n\r\n"


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


ANSWER = _response(b'{"status":"ok","order":"A-1001","items":[{"sku":"X1","quantity":2},{"sku":"Y7","quantity":1}]}')
TOKEN = _response(b'{"access_token":"bench-token","token_type":"Bearer","expires_in":86400}')


class Exchange(asyncio.Protocol):
    """One connection: one request after the other, never pipelined."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received = data = self._received + data
        head = data.find(_BLANK)
        if head < 0:
            return
        length = _LENGTH.search(data, 0, head)
        if length and len(data) < head + 4 + int(length[1]):
            return
        self._received = b""
        line = data[: data.index(b"\r\n")]
        delay = _DELAY.search(line)
        if delay:
            asyncio.get_running_loop().call_later(int(delay[1]) / 1000, self._respond, ANSWER)
        else:
            self._respond(TOKEN if b"/oauth/token" in line else ANSWER)

    def _respond(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Exchange, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
