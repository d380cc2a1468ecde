"""Whether an origin's connections are kept open between requests: it earns that by silence, and loses it by bytes that
nobody asked for.

HTTP/1.1 has no mark by which a response names its request: on a connection that is used again, a late or doubled
response to one request reads like that to the next. So a worker uses the first connections to an origin once each
and watches them for a moment. When enough of them stayed silent, later ones are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from yarl import URL

_log = logging.getLogger(__name__)


class Origin(NamedTuple):
    """Where a connection leads."""

    tls: bool
    host: str
    port: int


def origin_of(url: URL) -> Origin:
    """Raises ValueError when the URL names no host."""
    if url.raw_host is None or url.port is None:
        raise ValueError("the URL names no host")
    return Origin(url.scheme == "https", url.raw_host, url.port)


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """How connections are kept. ``idle_s``: below the 5 s after which the common servers close them themselves.

    ``proven_after``: so many connections have to stay silent for ``watched_s``. ``without_s``: how long an origin that
    sent unsolicited bytes is used without keep-alive before it may prove itself again.
    """

    idle_s: float = 4.0
    watched_s: float = 0.5
    proven_after: int = 50
    without_s: float = 60.0


class OriginConduct:
    """How one origin has behaved towards this worker. ``authority``: what Host names.

    ``keeps``: its connections serve more than one request. ``until``: the clock's seconds until which it is used
    without keep-alive because of its conduct; 0 for never.
    """

    __slots__ = (
        "_clock",
        "_rules",
        "authority",
        "ended_idle",
        "keeps",
        "origin",
        "reason",
        "silent",
        "unsolicited",
        "until",
    )

    def __init__(self, origin: Origin, rules: KeepAlive, clock: Callable[[], float]) -> None:
        self.origin = origin
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        self.authority = host if origin.port == (443 if origin.tls else 80) else f"{host}:{origin.port}"
        self._rules = rules
        self._clock = clock
        self.keeps = rules.proven_after == 0
        self.until = 0.0
        self.silent = self.unsolicited = self.ended_idle = 0
        self.reason = ""

    @property
    def left_s(self) -> float:
        """For how long it is still used without keep-alive because of its conduct."""
        return max(0.0, self.until - self._clock()) if self.until else 0.0

    def stayed_silent(self) -> None:
        """A connection that was watched has ended without a byte that nobody asked for."""
        if not self.left_s:
            self.silent += 1
            self.keeps = self.silent >= self._rules.proven_after

    def misbehaved(self, reason: str) -> None:
        """It sent bytes that nobody asked for."""
        if not self.left_s:
            _log.warning(
                "upstream %s:%d: %s; used without keep-alive for %g s", *self.origin[1:], reason, self._rules.without_s
            )
        self.unsolicited += 1
        self.silent, self.reason = 0, reason
        self.until = self._clock() + self._rules.without_s
        self.keeps = self._rules.without_s == 0 and self._rules.proven_after == 0
