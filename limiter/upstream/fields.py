"""Which header fields cross the platform, in each direction. A field not named here does not.

Hop-by-hop fields, Host, Cookie, Authorization, X-Forwarded-* and lengths are never among them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from limiter.upstream.retry import retry_after_s

TO_UPSTREAM = ("accept-language", "traceparent", "tracestate", "idempotency-key")
FROM_UPSTREAM = frozenset(
    {
        "content-type",
        "content-language",
        "content-encoding",
        "content-disposition",
        "cache-control",
        "expires",
        "etag",
        "last-modified",
        "retry-after",
        "inin-ratelimit-count",
        "inin-ratelimit-allowed",
        "inin-ratelimit-reset",
    }
)
TRACE = ("x-trace-id", "correlationid", "inin-correlation-id", "x-request-id")
"""Where upstreams put the id of a call; the first present is passed on as X-Upstream-Trace-Id."""
MAX_CHARS = 1024


def to_upstream(given: Mapping[str, str], *, authorization: str, request_id: str, sends_body: bool) -> dict[str, str]:
    """The fields of a request; ``given``: the caller's, names in lower case."""
    fields = {"Authorization": authorization, "X-Correlation-Id": request_id}
    if sends_body:
        fields["Content-Type"] = "application/json"
    if given:
        named = _named_by_connection(given)
        for name in TO_UPSTREAM:
            value = given.get(name)
            if value is not None and name not in named and _is_clean(value):
                fields[name] = value
    return fields


def from_upstream(
    received: Sequence[tuple[str, str]], *, wall: Callable[[], float] = time.time
) -> list[tuple[str, str]]:
    """The fields of a response that the caller gets, in the order they came.

    Retry-After is always whole seconds: a date would be measured against the Date of our response, not of theirs.
    """
    passed: list[tuple[str, str]] = []
    traces: dict[str, str] = {}
    waits: set[str] = set()
    for name, value in received:
        lower = name.lower()
        if lower in FROM_UPSTREAM:
            if lower == "retry-after":
                waits.add(value.strip())
            elif _is_clean(value):
                passed.append((name, value))
        elif lower in TRACE and _is_clean(value):
            traces.setdefault(lower, value)
    if len(waits) == 1:
        date = next((value for name, value in received if name.lower() == "date"), None)
        seconds = retry_after_s(waits.pop(), date=date, wall=wall())
        if seconds is not None:
            passed.append(("Retry-After", str(math.ceil(seconds))))
    if traces:
        passed.append(("X-Upstream-Trace-Id", next(traces[name] for name in TRACE if name in traces)))
    return passed


def _named_by_connection(given: Mapping[str, str]) -> set[str]:
    """RFC 9110 7.6.1: fields that Connection names are for this hop only."""
    connection = given.get("connection")
    return {name.strip().lower() for name in connection.split(",")} if connection else set()


def _is_clean(value: str) -> bool:
    return value.isascii() and value.isprintable() and len(value) <= MAX_CHARS
