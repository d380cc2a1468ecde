"""The load generator: keep-alive connections that each send the same request again as soon as they are answered.

It is one loop over a selector because it shares the machine with the measured server; its own cost per call is measured
too and stands in the report.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length: *", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_BLANK = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
BODY = b'{"orderId":"A-1001","channel":"ivr"}'


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send what. ``headers`` beside Host, Content-Type and Content-Length; ``each``: more, in turn."""

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    body: bytes = BODY
    each: Sequence[Mapping[str, str]] = ({},)

    def requests(self) -> list[bytes]:
        """The bytes of a call, or of several that take turns."""
        return [self._request(more) for more in self.each]

    def _request(self, more: Mapping[str, str]) -> bytes:
        lines = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
            **self.headers,
            **more,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + self.body


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of them do not exceed; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


@dataclass(slots=True)
class Load:
    """What a run of the generator saw.

    ``in_time``: responses within the ``seconds`` of the run; calls under way at its end are waited for but
    do not count for the rate. ``broken``: calls that ended without a response.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    in_time: int = 0
    broken: int = 0
    seconds: float = 0.0
    own_cpu_s: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return self.statuses.total()

    @property
    def per_second(self) -> float:
        return self.in_time / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float:
        """The latency that so many percent of the responses did not exceed."""
        return percentile(self.latencies_ms, percent)

    def others(self, expected: int) -> int:
        """Calls that did not end with the expected status."""
        return self.answered - self.statuses[expected] + self.broken


class Caller:
    """One keep-alive connection."""

    __slots__ = ("_marker", "_received", "_requests", "_sent_at", "closed", "sock", "target")

    def __init__(self, target: Target, requests: Iterator[bytes]) -> None:
        self.target = target
        self._requests = requests
        self._marker = b""
        self._received = b""
        self._sent_at = 0.0
        self.closed = False
        """The last response announced that the server closes."""
        self.sock = self._connected()

    def _connected(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.target.port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock

    def close(self) -> None:
        self.sock.close()

    def reconnect(self) -> None:
        self.close()
        self.closed = False
        self.sock = self._connected()

    def call(self) -> None:
        self._sent_at = time.perf_counter()
        self.sock.send(next(self._requests))

    def response(self) -> tuple[int, float] | None:
        """Status and milliseconds of a complete response, None while some of it is missing; OSError when it broke."""
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        if self._received:
            data = self._received + data
        if not self._complete(data):
            self._received = data
            return None
        self._received = b""
        self.closed = data[9:10] == b"4" and b"\r\nconnection: close" in data.lower()
        return int(data[9:12]), (time.perf_counter() - self._sent_at) * 1000

    def _complete(self, data: bytes) -> bool:
        head = data.find(_BLANK)
        if head < 0:
            return False
        # The server spells the header the same way every time: look it up by that spelling, which is fast.
        at = data.find(self._marker, 0, head) if self._marker else -1
        if at < 0:
            found = _LENGTH.search(data, 0, head)
            if found is None:
                return data.endswith(_LAST_CHUNK) if _CHUNKED.search(data, 0, head) else True
            self._marker, at = found[0], found.start()
        start = at + len(self._marker)
        return len(data) >= head + 4 + int(data[start : data.index(b"\r", start)])


def run(target: Target, *, connections: int, seconds: float, most: int = 1 << 40, grace: float = 10.0) -> Load:
    """Call for so many seconds, or until ``most`` calls were sent; wait ``grace`` seconds for calls under way."""
    load = Load()
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        requests = itertools.cycle(target.requests())
        callers = [Caller(target, requests) for _ in range(connections)]
        for caller in callers:
            selector.register(caller.sock, selectors.EVENT_READ, caller)
            stack.callback(caller.close)
        drive = _Drive(selector, load, seconds=seconds, most=most)
        drive.start(callers)
        drive.until_answered(seconds + grace)
    return load


class _Drive:
    """The loop over the connections."""

    def __init__(self, selector: selectors.BaseSelector, load: Load, *, seconds: float, most: int) -> None:
        self._selector, self._load = selector, load
        self._cpu, self._started = time.process_time(), time.perf_counter()
        self._ends, self._left, self._under_way = self._started + seconds, most, 0

    def start(self, callers: list[Caller]) -> None:
        for caller in callers[: self._left]:
            self._call(caller)

    def until_answered(self, most_seconds: float) -> None:
        load, started, now = self._load, self._started, self._started
        gives_up = started + most_seconds
        while self._under_way and now < gives_up:
            ready = self._selector.select(gives_up - now)
            now = time.perf_counter()
            in_time = now < self._ends
            for key, _ in ready:
                if self._ended(key.data):
                    load.in_time += in_time
                    self._under_way -= 1
                    if in_time and self._left:
                        self._call(key.data)
        load.broken += self._under_way
        load.seconds = min(now, self._ends) - started
        load.own_cpu_s = time.process_time() - self._cpu

    def _call(self, caller: Caller) -> None:
        caller.call()
        self._under_way += 1
        self._left -= 1

    def _ended(self, caller: Caller) -> bool:
        """Whether the caller's call has ended, well or badly; notes how."""
        try:
            response = caller.response()
        except BlockingIOError:
            return False
        except OSError:
            self._load.broken += 1
            self._reconnect(caller)
            return True
        if response is None:
            return False
        self._load.statuses[response[0]] += 1
        self._load.latencies_ms.append(response[1])
        if caller.closed:
            self._reconnect(caller)
        return True

    def _reconnect(self, caller: Caller) -> None:
        self._selector.unregister(caller.sock)
        caller.reconnect()
        self._selector.register(caller.sock, selectors.EVENT_READ, caller)
