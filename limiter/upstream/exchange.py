"""One request and its answer over aiohttp: what is read, how much of it, and what each failure means."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from aiohttp.http_parser import HttpResponseParser
from yarl import URL

from limiter.upstream import fields, pins
from limiter.upstream.call import UpstreamAnswer
from limiter.upstream.errors import NotConfigured, OutcomeUnknown, Unreachable, UpstreamError
from tenants.hosts import HostRefused

SHORT_BYTES = 65_536
"""Answers up to this length are read whole before the caller gets the first byte."""
KEEP_ALIVE_S = 10.0
DNS_TTL_S = 10
_perf = time.perf_counter_ns


@dataclass(slots=True, eq=False)
class Request:
    """One attempt. ``body`` None: none is sent. ``cap_bytes``: longest answer that is accepted."""

    method: str
    url: URL
    headers: dict[str, str]
    body: bytes | None
    timeout: aiohttp.ClientTimeout
    cap_bytes: int


class Exchange:
    """One aiohttp session: no cookies, no redirects, no decompression, no environment; make it in the running loop."""

    def __init__(self, *, pinned: pins.Pins, pool_size: int) -> None:
        if HttpResponseParser.__module__ == "aiohttp.http_parser":
            raise RuntimeError("aiohttp runs without its C parser; the pure Python one is not safe behind a proxy")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=pool_size,
                resolver=pins.PinnedResolver(pinned),
                ttl_dns_cache=DNS_TTL_S,
                keepalive_timeout=KEEP_ALIVE_S,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": pins.USER_AGENT},
            skip_auto_headers=("Content-Type",),
        )
        # aiohttp repeats GET, PUT and DELETE once by itself when a kept connection turns out to be closed; here
        # nothing is repeated that the action does not allow.
        self._session._retry_connection = False

    async def close(self) -> None:
        await self._session.close()

    async def send(self, request: Request) -> UpstreamAnswer:
        """The answer, whatever its status; raises :class:`~limiter.upstream.errors.UpstreamError` for none."""
        sent = _perf()
        try:
            response = await self._session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                timeout=request.timeout,
                allow_redirects=False,
            )
            answer = UpstreamAnswer(
                response.status, fields.from_upstream(response.headers), latency_us=(_perf() - sent) // 1000
            )
            try:
                await _receive(response, answer, request.cap_bytes)
            except BaseException:
                response.close()
                raise
        except (aiohttp.ClientError, OSError, HostRefused, ValueError) as error:
            raise as_upstream_error(error, elapsed_us=(_perf() - sent) // 1000) from None
        return answer


async def _receive(response: aiohttp.ClientResponse, answer: UpstreamAnswer, cap_bytes: int) -> None:
    """Read a short answer whole, or leave a long one to be streamed."""
    length = response.content_length
    if length is None:
        # The end of a short chunked answer mostly comes with its beginning.
        first = await response.content.readany()
        if response.content.at_eof() and len(first) <= cap_bytes:
            answer.body = first
        else:
            answer.chunks = Stream(response, cap_bytes=cap_bytes, first=first)
    elif length > cap_bytes:
        raise _too_long(cap_bytes)
    elif length <= SHORT_BYTES:
        answer.body = await response.read()
    else:
        answer.chunks = Stream(response, cap_bytes=cap_bytes)


class Stream(AsyncIterator[bytes]):
    """The rest of a long answer, chunk by chunk as it comes."""

    def __init__(self, response: aiohttp.ClientResponse, *, cap_bytes: int, first: bytes = b"") -> None:
        self._response = response
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
            self._response.close()
            raise _too_long(self._cap_bytes)
        return chunk

    async def _next(self) -> bytes:
        began = _perf()
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            self._response.close()
            raise as_upstream_error(error, elapsed_us=(_perf() - began) // 1000) from None
        except BaseException:
            self._response.close()
            raise

    async def aclose(self) -> None:
        self._response.close()

    def __del__(self) -> None:
        # A reader that was itself given up cannot call aclose; the connection must not stay taken for that.
        self._response.close()


async def give_up(answer: UpstreamAnswer) -> None:
    """Do without the rest of an answer that is not passed on."""
    if isinstance(answer.chunks, Stream):
        await answer.chunks.aclose()


def _too_long(cap_bytes: int) -> OutcomeUnknown:
    return OutcomeUnknown(f"The upstream's answer is longer than the {cap_bytes} bytes allowed.", timed_out=False)


def as_upstream_error(error: Exception, *, elapsed_us: int) -> UpstreamError:
    """What a failure of the HTTP client means to the caller. Its text is left out: it may name the upstream."""
    if isinstance(error, HostRefused):
        return NotConfigured("The upstream's address may not be used; an administrator has to look at it.")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Unreachable("No connection to the upstream was made in time.")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Unreachable("The upstream's certificate could not be verified.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Unreachable("The upstream could not be reached.")
    if isinstance(error, ValueError):
        return NotConfigured("The request to the upstream could not be built; an administrator has to look at it.")
    if isinstance(error, TimeoutError):
        return OutcomeUnknown(
            "The upstream did not answer in time; the call may have run.", timed_out=True, latency_us=elapsed_us
        )
    return OutcomeUnknown("The upstream's answer broke off; the call may have run.", timed_out=False)
