"""One call to an upstream and its response: the values that cross the seam between the gateway and the client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

from limiter.upstream.breaker import BreakerState
from tenants.directory import ActionSpec, ConnectionSpec


class Flight:
    """When the request of a call that is under way was sent (``perf_counter_ns``); 0 while none is."""

    __slots__ = ("sent_ns",)

    def __init__(self) -> None:
        self.sent_ns = 0


class UpstreamCall(NamedTuple):
    """What to invoke. ``headers``: the caller's, names in lower case; the client forwards only those allowed.

    ``body``: the caller's JSON, already checked to be JSON (or empty). ``idempotency_key``: the caller's, or None.
    ``flight``: kept up to date where the age of the call is of interest.
    """

    connection: ConnectionSpec
    action: ActionSpec
    tenant_id: str
    request_id: str
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    idempotency_key: str | None = None
    flight: Flight | None = None


@dataclass(slots=True)
class UpstreamResponse:
    """What came back. ``headers`` passed the allow-list. ``latency_us``: request sent → answer's head received.

    Exactly one of ``body`` (a short response, read whole) and ``chunks`` (a long one, to be streamed; raises
    :class:`~limiter.upstream.errors.OutcomeUnknown` when it breaks off or grows past the cap) is set. Those of
    the real client have ``aclose()``, which gives up the rest and frees the connection.
    """

    status: int
    headers: list[tuple[str, str]]
    latency_us: int
    body: bytes | None = None
    chunks: AsyncIterator[bytes] | None = None
    attempts: int = 1
    pushback: bool = False
    """Some attempt of this call got a 429 or another overload status."""
    ok: bool = True
    """The status is one of the action's success statuses."""
    spent_for_s: float | None = None
    """How long nothing is left of the upstream's limit, where its headers give that."""
    counts_as: int | None = None
    """The status that its body makes of a 2xx response, by the action's rule; None for its own."""

    @property
    def judged(self) -> int:
        """The status that decides about retries, breaker, pauses and giving back."""
        return self.counts_as or self.status


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """What this worker has seen of one connection since it started."""

    name: str
    calls: int
    failures: int
    repeats: int
    pushbacks: int
    breaker: BreakerState
    unsolicited: int = 0
    """How often its origin sent bytes that no request asked for."""
    ended_idle: int = 0
    """Connections that its origin closed while they were kept."""
    without_keep_alive_until: float = 0.0
    """Epoch seconds until which its origin is used without keep-alive for that; 0 when it is not."""
    without_keep_alive_why: str = ""
    id: int = 0
    """The connection's row."""


class Upstream(Protocol):
    """What the gateway needs of a client; tests hand in a fake."""

    async def invoke(self, call: UpstreamCall) -> UpstreamResponse:
        """Make the call; raises :class:`~limiter.upstream.errors.UpstreamError`."""
        ...

    def units(self) -> Mapping[str, UnitStatus]:
        """What this worker has seen of each connection, by its uid."""
        ...

    async def close(self) -> None: ...
