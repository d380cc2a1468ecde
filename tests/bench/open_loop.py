"""Callers who call when they want to, whether or not those before them were answered: twice what a server can serve.

Every call takes a connection that rests, or a new one; a connection that was turned away is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.bench.load import Caller, Target, percentile

_MAX_AT_ONCE = 64
"""Calls begun before answers are read again."""


@dataclass(slots=True)
class Offered:
    """The outcome of the calls. ``broken``: turned away without a readable response; ``unsent``: the generator
    had no socket left, or came too late to begin them.
    """

    seconds: float = 0.0
    calls: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    unsent: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    turned_away_ms: list[float] = field(default_factory=list)

    def goodput(self, *, within_ms: float) -> float:
        """Calls a second that were made and answered in time."""
        return sum(1 for each in self.latencies_ms if each <= within_ms) / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Of the calls that were made."""
        return percentile(self.latencies_ms, percent)


def run(target: Target, *, per_second: float, seconds: float, most: int) -> Offered:
    """Offer so many calls a second, over at most ``most`` connections."""
    with contextlib.closing(_Loop(target, most=most)) as loop:
        loop.run(per_second=per_second, seconds=seconds)
        return loop.seen


class _Loop:
    def __init__(self, target: Target, *, most: int) -> None:
        self.seen = Offered()
        self._target, self._most = target, most
        self._requests = itertools.cycle(target.requests())
        self._selector = selectors.DefaultSelector()
        self._idle: list[Caller] = []
        self._open = 0

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.data.close()
        self._selector.close()

    def run(self, *, per_second: float, seconds: float) -> None:
        seen, started = self.seen, time.perf_counter()
        now = started
        while now - started < seconds:
            due = int((now - started) * per_second) - seen.calls
            for _ in range(min(due, _MAX_AT_ONCE)):
                self._begin()
            if due > per_second:  # a second behind: these would never be sent
                seen.calls, seen.unsent = seen.calls + due, seen.unsent + due
            for key, _ in self._selector.select(0 if due > _MAX_AT_ONCE else 0.5 / per_second):
                self._hear(key.data)
            now = time.perf_counter()
        seen.seconds = now - started

    def _begin(self) -> None:
        self.seen.calls += 1
        try:
            caller = self._idle.pop() if self._idle else self._connected()
            if caller is None:
                self.seen.unsent += 1
                return
        except OSError:
            self.seen.broken += 1
            return
        try:
            caller.call()
        except OSError:
            self._lose(caller)

    def _connected(self) -> Caller | None:
        if self._open >= self._most:
            return None
        caller = Caller(self._target, self._requests)
        self._open += 1
        self._selector.register(caller.sock, selectors.EVENT_READ, caller)
        return caller

    def _hear(self, caller: Caller) -> None:
        try:
            response = caller.response()
        except BlockingIOError:
            return
        except OSError:
            self._lose(caller)
            return
        if response is None:
            return
        status, took_ms = response
        self.seen.statuses[status] += 1
        (self.seen.latencies_ms if status == 200 else self.seen.turned_away_ms).append(took_ms)
        if status in (429, 503):
            self._drop(caller)
        else:
            self._idle.append(caller)

    def _lose(self, caller: Caller) -> None:
        """The connection ended, before the call or within it."""
        if caller in self._idle:
            self._idle.remove(caller)
        else:
            self.seen.broken += 1
        self._drop(caller)

    def _drop(self, caller: Caller) -> None:
        self._selector.unregister(caller.sock)
        caller.close()
        self._open -= 1
