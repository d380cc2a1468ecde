"""The frames of one page, numbered, and the viewers of them: who gets which frame next. No I/O."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from dashboard.deltas import Frame, delta
from dashboard.topics import StreamTopic

SILENT_S = 20.0
"""A page acknowledges every few frames; one that is silent for so long is gone."""
FIGURES_KEPT = 120
MAX_IN_FLIGHT = 8
"""Frames that were sent and not seen yet: more than that would be a queue."""

NO_RIGHT = 4403
SILENT = 4408
TOO_MANY = 4429
FAULT = 1011
LEAVING = 1012


class LiveStream:
    """The newest frame of one topic, whole and as what changed since the one before; each is encoded at most once."""

    def __init__(self, topic: StreamTopic) -> None:
        self.topic = topic
        self.viewers: set[Viewer] = set()
        self.seq = 0
        self._frame: Frame | None = None
        self._before: Frame | None = None
        self._texts: dict[str, str] = {}
        self._figures: deque[Frame] = deque(maxlen=FIGURES_KEPT)

    def begin(self, figures: Iterable[Frame]) -> None:
        """Take in the key figures of the time before its first frame."""
        self._figures.extend(figures)

    def advance(self, frame: Frame) -> None:
        """Take the next frame; it gets its number here."""
        if self._frame is not None:
            self._figures.append(self._frame.get("figures", {}))
        self.seq += 1
        self._before, self._frame = self._frame, {**frame, "seq": self.seq}
        self._texts = {}

    def text(self, *, after: int | None) -> str:
        """The newest frame for who has frame ``after``: what changed since that, or the whole when it is another."""
        assert self._frame is not None
        kind = "delta" if self._before is not None and after == self.seq - 1 else "full"
        if kind not in self._texts:
            if kind == "delta" and self._before is not None:
                frame = delta(self._before, self._frame)
            else:
                frame = {**self._frame, "series": self._series()}
            self._texts[kind] = json.dumps(frame, separators=(",", ":"))
        return self._texts[kind]

    def _series(self) -> dict[str, list[float | None]]:
        """The key figures of the frames before, for who has not seen them; None: not known."""
        names = self._frame.get("figures", {}) if self._frame is not None else {}
        return {name: [each[name]["value"] for each in self._figures if name in each] for name in names}


class Viewer:
    """One open page: of which stream, how far it is, and whether it still answers."""

    def __init__(self, session_key: str, person: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.session_key = session_key
        self.person = person
        self.stream: LiveStream | None = None
        self.ended: int | None = None
        """The code that the socket is to be closed with."""
        self.checked_at = self._heard_at = clock()
        self.wake = asyncio.Event()
        self._clock = clock
        self._sent: int | None = None
        self._whole: int | None = None
        """The frame that was sent whole last."""
        self._wants_whole = False
        self._in_flight: deque[int] = deque()

    def watch(self, stream: LiveStream | None) -> None:
        """See this stream from now on, and no other."""
        if self.stream is not None:
            self.stream.viewers.discard(self)
        self.stream = stream
        self._sent = self._whole = None
        self._in_flight.clear()
        if stream is not None:
            stream.viewers.add(self)
            self.wake.set()

    def heard(self, message: Any) -> None:
        """What the page said: up to which frame it has seen everything, or that it wants a whole one."""
        self._heard_at = self._clock()
        if not isinstance(message, dict):
            return
        seen = message.get("seen")
        while self._in_flight and isinstance(seen, int) and self._in_flight[0] <= seen:
            self._in_flight.popleft()
        self._wants_whole |= message.get("want") == "full"
        self.wake.set()

    def next(self) -> str | None:
        """The frame to send now: always the newest, none twice in the same way, and none while many are under way."""
        stream = self.stream
        if stream is None or not stream.seq or len(self._in_flight) >= MAX_IN_FLIGHT:
            return None
        done = self._whole if self._wants_whole else self._sent
        if stream.seq == done:
            return None
        after = None if self._wants_whole else self._sent
        if after != stream.seq - 1:
            self._whole = stream.seq
        self._wants_whole = False
        self._sent = stream.seq
        self._in_flight.append(stream.seq)
        return stream.text(after=after)

    def end(self, code: int) -> None:
        """Have the socket closed; the first reason counts."""
        if self.ended is None:
            self.ended = code
        self.wake.set()

    @property
    def silent_for_s(self) -> float:
        return self._clock() - self._heard_at
