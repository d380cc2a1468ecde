"""Header fields that the document names, each described once as a component."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _text(description: str, example: str) -> Schema:
    return {"description": description, "schema": {"type": "string"}, "example": example}


HEADERS: dict[str, Schema] = {
    "ETag": _text("The version of the row, for If-Match and If-None-Match.", '"q0Zr3yVb7mJ1sK2d"'),
    "X-Request-Id": _text("The caller's own, when it sent a usable one; else a new one.", "5f3a9c0d1b7e42688c21ab90"),
    "X-Upstream-Latency-Ms": _text("From the request sent to the head of the upstream's answer.", "184.220"),
    "X-Upstream-Trace-Id": _text("The upstream's own ID of the call, if its response has one.", "8f14e45f"),
    "Idempotency-Replayed": _text("`true`: the first response to this Idempotency-Key, again.", "true"),
    "X-Adaptive-Multiplier": _text("The factor on every adaptive limit at the time of the decision.", "1"),
    "RateLimit": _text(
        "What the tightest limit has left: `r` units; the next one becomes free in `t` seconds."
        " draft-ietf-httpapi-ratelimit-headers-11. Absent while the limiter's store is unavailable.",
        '"minute";r=42;t=12',
    ),
    "RateLimit-Policy": _text(
        "Every enforced limit as it is in force, cut or not: `q` units per window of `w` seconds, or in flight."
        " A name in parentheses stands in no line of a policy: `(in flight)` is the limit that the connection learns,"
        " `(in flight per tenant)` the one that a policy's cut falls on. Absent as RateLimit is.",
        '"minute";q=100;w=60, "(in flight)";q=25;qu="concurrent-requests"',
    ),
    "X-RateLimit-Limit": _text("The tightest limit in force; only with LEGACY_RATELIMIT_HEADERS.", "100"),
    "X-RateLimit-Remaining": _text("Its remaining units; only with LEGACY_RATELIMIT_HEADERS.", "42"),
    "X-RateLimit-Reset": _text("Seconds until the next unit becomes free; only with LEGACY_RATELIMIT_HEADERS.", "12"),
    "Retry-After": {
        "description": "Whole seconds, rounded up, at least 1; a hint where a concurrency limit refuses."
        " Absent when no wait can help.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 7,
    },
    "Preference-Applied": _text("The wait of Prefer that was granted, in seconds. RFC 7240.", "wait=10"),
    "Server-Timing": _text("`wait`: how long the call waited for its turn, in milliseconds.", "wait;dur=812.4"),
    "WWW-Authenticate": _text("How to sign in.", 'Bearer realm="quota-platform"'),
    "Allow": _text("The methods this route has.", "POST"),
    "Location": _text("The row that was made.", "https://quota.example.com/api/tenants/acme/"),
}
ALWAYS = ("X-Request-Id",)
UPSTREAM = ("X-Upstream-Latency-Ms", "X-Upstream-Trace-Id", "Idempotency-Replayed")
WAIT = ("Preference-Applied", "Server-Timing")
LEGACY = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
QUOTA = ("RateLimit", "RateLimit-Policy", "X-Adaptive-Multiplier", *LEGACY)


def refer(*names: str) -> dict[str, Schema]:
    """References to some of the headers, for a response."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
