"""A receiver: a real HTTP server that keeps its posts and responds as configured."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.patience import HANG_S


@dataclass(slots=True)
class Posted:
    """``at``: when it came (epoch seconds)."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass(slots=True)
class Receiver:
    """``responses``: the next statuses; afterwards 204. ``hangs``: it takes a message and says nothing."""

    address: str
    responses: list[int] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    hangs: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}/quota"

    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.posted]


@contextmanager
def listening() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posted.append(
                Posted(self.path, {k.lower(): v for k, v in self.headers.items()}, body, time.time())
            )
            if receiver.hangs is not None:
                receiver.hangs.wait(HANG_S)
                return
            self.send_response(receiver.responses.pop(0) if receiver.responses else 204)
            self.send_header("Location", f"http://{receiver.address}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what matters."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            if receiver.hangs is not None:
                receiver.hangs.set()
            server.shutdown()
            thread.join()
