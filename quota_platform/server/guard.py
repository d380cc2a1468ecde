"""The shared state of all connections of a web process: their number, the bytes they hold, and the rejections."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any

from quota_platform.base import addresses
from quota_platform.base.lean.problem import Problem
from quota_platform.server.limits import Limits

LOG_EVERY_S = 60.0
_STATE = "guard"
"""Its name in the ASGI state, where the lifespan puts it before the first connection is made."""

log = logging.getLogger(__name__)


class Guard:
    """Admits connections, and counts the rejections that no application sees."""

    def __init__(self, limits: Limits | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits or Limits()
        self.connections = 0
        self.arriving_bytes = 0
        self.rejections: Counter[str] = Counter()
        """By the word that docs/errors.md explains."""
        self._by_address: Counter[str] = Counter()
        detail = "This server has as many connections as it can serve."
        self._full = Problem(503, "connections-exhausted", detail, retry_after_s=1)
        detail = f"At most {self.limits.max_connections_per_address} connections at a time from one address."
        self._full_for_address = Problem(429, "too-many-connections", detail, retry_after_s=1)
        self._clock = clock
        self._log_again_at: dict[str, float] = {}
        self._logged: Counter[str] = Counter()

    @classmethod
    def of(cls, state: MutableMapping[str, Any]) -> Guard:
        """The guard of this process; one with the default limits where the lifespan has made none."""
        guard: Guard | None = state.get(_STATE)
        if guard is None:
            guard = state[_STATE] = cls()
        return guard

    def keep_in(self, state: MutableMapping[str, Any]) -> None:
        """Be the guard of the process whose ASGI state this is."""
        state[_STATE] = self

    def status(self) -> dict[str, Any]:
        """For the heartbeat."""
        return {"connections": self.connections, "rejections": dict(self.rejections)}

    def admit(self, peer: str) -> Seat | Problem:
        """A seat for a connection from ``peer``, or the problem to report: returned, because raising one costs more."""
        limits = self.limits
        if self.connections >= limits.max_connections:
            return self._full
        alone = peer and peer != addresses.UNIX and peer not in limits.trusted_proxies
        group = addresses.group(peer) if alone else ""
        if group and self._by_address[group] >= limits.max_connections_per_address:
            return self._full_for_address
        self.connections += 1
        if group:
            self._by_address[group] += 1
        return Seat(self, group)

    def leave(self, group: str) -> None:
        """Take back a seat."""
        self.connections -= 1
        if group:
            self._by_address[group] -= 1
            if not self._by_address[group]:
                del self._by_address[group]

    def hold(self, more: int) -> None:
        """Count bytes of a body that is arriving (negative: it has arrived or is given up); raises Problem 503."""
        self.arriving_bytes += more
        if more > 0 and self.arriving_bytes > self.limits.max_arriving_bytes:
            detail = "Too many request bodies are arriving at once."
            raise Problem(503, "bodies-exhausted", detail, retry_after_s=1)

    def count(self, problem: Problem, *, peer: str) -> None:
        """Count a rejection, and say so in the log, of each kind once in a while."""
        kind = problem.type.rpartition(":")[2]
        self.rejections[kind] += 1
        now = self._clock()
        if now < self._log_again_at.get(kind, now):
            return
        since, self._logged[kind] = self.rejections[kind] - self._logged[kind], self.rejections[kind]
        self._log_again_at[kind] = now + LOG_EVERY_S
        log.warning("%s: %d rejected with %d, the last from %s", kind, since, problem.status, peer or "unknown")


class Arrival:
    """A body on its way, as it counts among all that are. ``call``: whose; None when none is."""

    __slots__ = ("_guard", "_held", "call")

    def __init__(self, guard: Guard) -> None:
        self.call: object = None
        self._guard = guard
        self._held = 0

    def begins(self, call: object) -> bool:
        """Whether this call's body was not on its way yet, and is now."""
        if self.call is call:
            return False
        self.call = call
        return True

    def count(self, received: int) -> None:
        """So many bytes of it have arrived; raises Problem 503 when that is too much of all together."""
        more, self._held = received - self._held, received
        self._guard.hold(more)

    def end(self) -> None:
        """It is whole, or given up."""
        self.call = None
        self._guard.hold(-self._held)
        self._held = 0


class Seat:
    """One connection's place, given back once, whatever serves it in the end."""

    __slots__ = ("_group", "_guard")

    def __init__(self, guard: Guard, group: str) -> None:
        self._guard: Guard | None = guard
        self._group = group

    def release(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.leave(self._group)
