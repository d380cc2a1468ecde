"""Which header fields cross the platform, in each direction. What is not named here does not.

Hop-by-hop fields, Host, Cookie, Authorization, X-Forwarded-* and lengths are never among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def from_upstream(received: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields of an answer that the caller gets, in the order they came."""
    passed: list[tuple[str, str]] = []
    traces: dict[str, str] = {}
    for name, value in received:
        lower = name.lower()
        if lower in FROM_UPSTREAM:
            if _is_clean(value):
                passed.append((name, value))
        elif lower in TRACE and _is_clean(value):
            traces.setdefault(lower, value)
    if traces:
        passed.append(("X-Upstream-Trace-Id", next(traces[name] for name in TRACE if name in traces)))
    return passed


def _named_by_connection(given: Mapping[str, str]) -> set[str]:
    """RFC 9110 7.6.1: fields that Connection names are for this hop only."""
    connection = given.get("connection")
    return {name.strip().lower() for name in connection.split(",")} if connection else set()


def _is_clean(value: str) -> bool:
    return value.isascii() and value.isprintable() and len(value) <= MAX_CHARS
