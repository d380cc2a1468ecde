"""Welcome and traffic wait for platform and sandbox; the welcome quotes the last response when it waited in vain."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import pytest

from quota_platform.demo.traffic import until_serving
from quota_platform.demo.welcome import NotReady, wait_for_both, wait_until_ready
from quota_platform.embedded import free_port
from quota_platform.env import BASE_DIR
from tests.patience import HANG_S


@contextmanager
def answering(*responses: tuple[int, bytes]) -> Iterator[str]:
    """A server that gives these responses in turn and repeats the last."""
    with serving(list(responses)) as url:
        yield url


@contextmanager
def serving(left: list[tuple[int, bytes]]) -> Iterator[str]:
    """The same; those that were given are taken out of the list."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/readyz"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("process", ["traffic", "welcome"])
def test_a_process_of_the_demo_says_its_purpose_and_does_nothing_else(process: str) -> None:
    ran = [sys.executable, "-m", f"quota_platform.demo.{process}", "--help"]
    done = subprocess.run(ran, capture_output=True, text=True, env={}, cwd=BASE_DIR, timeout=HANG_S, check=True)
    assert done.stdout.startswith(f"usage: python -m quota_platform.demo.{process}")


def test_the_welcome_is_printed_once_the_platform_is_ready() -> None:
    with answering((503, b'{"policies": "loading"}'), (200, b"{}")) as url:
        wait_until_ready(url, patience_seconds=10)


def test_the_welcome_gives_up_with_the_last_response() -> None:
    with answering((503, b'{"store": "away"}')) as url, pytest.raises(NotReady, match=r'503 ."store": "away"'):
        wait_until_ready(url, patience_seconds=0.3)


def test_the_welcome_gives_up_when_nobody_listens() -> None:
    with pytest.raises(NotReady, match="no connection"):
        wait_until_ready(f"http://127.0.0.1:{free_port()}/readyz", patience_seconds=0.3)


def test_a_demo_is_not_ready_before_its_sandbox_is() -> None:
    """The first call would get no token."""
    starting = [(503, b""), (503, b""), (200, b"{}")]
    with answering((200, b"{}")) as platform, serving(starting) as sandbox:
        address = urlsplit(sandbox).netloc
        wait_for_both({"PORT": str(urlsplit(platform).port), "SANDBOX_HOSTS": f"{address},127.0.0.1:9"})
    assert starting == [(200, b"{}")]


async def test_traffic_calls_nobody_before_all_serve() -> None:
    first, second = [(503, b""), (200, b"{}")], [(500, b""), (200, b"{}")]
    with serving(first) as sandbox, serving(second) as platform:
        await until_serving(sandbox, platform)
    assert first == second == [(200, b"{}")]
