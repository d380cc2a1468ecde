"""One request and its response: the bytes sent, how much is read, and what each failure means."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from yarl import URL

from limiter.upstream import fields, pins
from limiter.upstream.call import Flight, UpstreamResponse
from limiter.upstream.conduct import KeepAlive, Origin, OriginConduct
from limiter.upstream.connections import Connections, NotConnected, NotConnectedInTime, OriginPool
from limiter.upstream.errors import NotConfigured, OutcomeUnknown, Unreachable, UpstreamError
from limiter.upstream.rate_headers import spent_for_s
from limiter.upstream.resting import TenantRoute
from limiter.upstream.wire import BrokenResponse, InvalidStatus, Wire
from quota_platform.base.hosts import HostRefused
from tenants.presets import RateHeaders

SHORT_BYTES = 65_536
"""Responses up to this length are read whole before the caller gets the first byte."""
_SENDS_NO_LENGTH = ("GET", "HEAD", "DELETE")
_perf = time.perf_counter_ns

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, and for the whole response after it."""

    total: float
    connect: float


@dataclass(slots=True, eq=False)
class UpstreamRequest:
    """One attempt. ``tenant``: whose call it is; its connections serve no other. ``body`` None: none is sent.

    ``cap_bytes``: longest answer that is accepted. ``rate_headers``: those to look for in the response.
    ``reads_short``: a short response is read whole even where its head has no length, because its body is looked at.
    """

    tenant: str
    origin: Origin
    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None
    patience: Patience
    cap_bytes: int
    rate_headers: tuple[RateHeaders, ...] = ()
    reads_short: bool = False
    flight: Flight | None = None


class Exchange:
    """Sends requests over kept connections; make it in the running loop."""

    def __init__(
        self,
        *,
        pinned: pins.Pins,
        pool_size: int,
        wall: Callable[[], float] = time.time,
        keep_alive: KeepAlive | None = None,
    ) -> None:
        self._wall = wall
        self._connections = Connections(pinned=pinned, size=pool_size, keep_alive=keep_alive or KeepAlive())

    def conduct(self, origin: Origin) -> OriginConduct:
        """How the origin has behaved."""
        return self._connections.conduct(origin)

    @property
    def pool(self) -> OriginPool:
        """Its connections, counted."""
        return self._connections.pool

    async def close(self) -> None:
        await self._connections.close()

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """The response, whatever its status; raises :class:`~limiter.upstream.errors.UpstreamError` for none."""
        began = _perf()
        try:
            route = self._connections.route(request.origin, request.tenant)
            data = _message(request, route.conduct)
            wire = self._connections.kept(route)
            if wire is None:
                connect = min(request.patience.connect, request.patience.total)
                wire = await self._connections.take(route, seconds=connect)
            try:
                sent = _perf()
                if request.flight is not None:
                    request.flight.sent_ns = sent
                await wire.request(data, seconds=max(0.001, request.patience.total - (sent - began) / 1e9))
                response = self._begun(request, wire, latency_us=(_perf() - sent) // 1000)
                if wire.complete and wire.body_bytes <= min(SHORT_BYTES, request.cap_bytes):
                    response.body = wire.taken()
                    self._connections.give_back(route, wire)
                else:
                    await self._receive(route, wire, response, request)
            except BaseException:
                self._give_up(route, wire)
                raise
        except _FAILURES as error:
            if isinstance(error, InvalidStatus):
                log.warning("the upstream %s answered with %s; the call is a 502", request.url.host, error)
            raise as_upstream_error(error, elapsed_us=(_perf() - began) // 1000) from None
        finally:
            if request.flight is not None:
                request.flight.sent_ns = 0
        return response

    def _begun(self, request: UpstreamRequest, wire: Wire, *, latency_us: int) -> UpstreamResponse:
        """The response as far as its head says."""
        response = UpstreamResponse(wire.status, fields.from_upstream(wire.fields, wall=self._wall), latency_us)
        if request.rate_headers:
            response.spent_for_s = spent_for_s(wire.fields, request.rate_headers, wall=self._wall())
        return response

    async def _receive(
        self, route: TenantRoute, wire: Wire, response: UpstreamResponse, request: UpstreamRequest
    ) -> None:
        """Read a short response whole that has not come with its head, or leave a long one to be streamed."""
        length, cap_bytes = wire.length, request.cap_bytes
        first = b""
        if length is not None and length > cap_bytes:
            raise _too_long(cap_bytes)
        if length is not None and length <= SHORT_BYTES:
            response.body = await wire.read_all()
        elif length is None:
            # The end of a short chunked answer mostly comes with its beginning.
            first = await wire.read()
            while request.reads_short and not wire.complete and len(first) <= min(cap_bytes, SHORT_BYTES):
                first += await wire.read()
            if wire.complete and len(first) <= min(cap_bytes, SHORT_BYTES):
                response.body = first + await wire.read()
        if response.body is None:
            response.chunks = ResponseStream(self, route, wire, cap_bytes=cap_bytes, first=first)
        else:
            self._connections.give_back(route, wire)

    def _give_up(self, route: TenantRoute, wire: Wire) -> None:
        wire.close()
        self._connections.give_back(route, wire)


class ResponseStream(AsyncIterator[bytes]):
    """The rest of a long response, chunk by chunk as it comes."""

    def __init__(
        self, exchange: Exchange, route: TenantRoute, wire: Wire, *, cap_bytes: int, first: bytes = b""
    ) -> None:
        self._exchange = exchange
        self._route = route
        self._wire: Wire | None = wire
        self._cap_bytes = cap_bytes
        self._first = first
        self._passed = 0

    async def __anext__(self) -> bytes:
        chunk, self._first = self._first, b""
        if not chunk:
            chunk = await self._next()
        if not chunk:
            raise StopAsyncIteration
        self._passed += len(chunk)
        if self._passed > self._cap_bytes:
            self._end(whole=False)
            raise _too_long(self._cap_bytes)
        return chunk

    async def aclose(self) -> None:
        """Give up the rest and free the connection."""
        self._end(whole=False)

    async def _next(self) -> bytes:
        if self._wire is None:
            return b""
        began = _perf()
        try:
            chunk = await self._wire.read()
        except _FAILURES as error:
            self._end(whole=False)
            raise as_upstream_error(error, elapsed_us=(_perf() - began) // 1000) from None
        except BaseException:
            self._end(whole=False)
            raise
        if not chunk:
            self._end(whole=True)
        return chunk

    def _end(self, *, whole: bool) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            if not whole:
                wire.close()
            self._exchange._connections.give_back(self._route, wire)

    def __del__(self) -> None:
        # A reader that was itself given up cannot call aclose; the connection must not stay taken for that.
        self._end(whole=False)


async def give_up(response: UpstreamResponse) -> None:
    """Do without the rest of a response that is not passed on."""
    if isinstance(response.chunks, ResponseStream):
        await response.chunks.aclose()


def _message(request: UpstreamRequest, conduct: OriginConduct) -> bytes:
    """The request as it goes out. Raises ValueError when a value would break out of its line."""
    body = request.body
    lines = [f"{request.method} {request.url.raw_path_qs} HTTP/1.1\r\nHost: {conduct.authority}\r\n{_ALWAYS}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if body is not None or request.method not in _SENDS_NO_LENGTH:
        lines.append(f"Content-Length: {len(body or b'')}")
    if conduct.until and conduct.left_s:
        lines.append("Connection: close")
    head = "\r\n".join(lines)
    expected = len(lines) + 1 + _ALWAYS.count("\r\n")
    if head.count("\r\n") != expected or head.count("\n") != expected or head.count("\r") != expected or "\0" in head:
        raise ValueError("a line break or NUL in a header")
    return head.encode("latin1") + b"\r\n\r\n" + (body or b"")


_ALWAYS = f"Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: {pins.USER_AGENT}"
_FAILURES = (OSError, NotConnected, BrokenResponse, HostRefused, ValueError)


def _too_long(cap_bytes: int) -> OutcomeUnknown:
    return OutcomeUnknown(f"The upstream's answer is longer than the {cap_bytes} bytes allowed.", timed_out=False)


def as_upstream_error(error: Exception, *, elapsed_us: int) -> UpstreamError:
    """What a failure of the connection means to the caller. Its text is left out: it may name the upstream."""
    if isinstance(error, HostRefused):
        return NotConfigured("The upstream's address may not be used; an administrator has to look at it.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable("The upstream's certificate could not be verified.")
    if isinstance(error, NotConnectedInTime):
        return Unreachable("No connection to the upstream was made in time.")
    if isinstance(error, NotConnected):
        return Unreachable("The upstream could not be reached.")
    if isinstance(error, TimeoutError):
        return OutcomeUnknown(
            "The upstream did not answer in time; the call may have run.", timed_out=True, latency_us=elapsed_us
        )
    if isinstance(error, ValueError):
        return NotConfigured("The request to the upstream could not be built; an administrator has to look at it.")
    return OutcomeUnknown("The upstream's answer broke off; the call may have run.", timed_out=False)
