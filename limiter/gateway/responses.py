"""The gateway's responses, finished: status, headers and body as they go out."""

from __future__ import annotations

from typing import Any

from limiter.core import headers
from limiter.core.types import Decision
from limiter.gateway.document import embedded
from limiter.gateway.stacks import Bound
from limiter.upstream.call import UpstreamResponse
from quota_platform.base.lean.document import encode
from quota_platform.base.lean.request import LeanRequest
from quota_platform.base.lean.response import Fields, LeanResponse

_UNLIKE_SUCCESS = ", which the action counts as a failure"


def quota_fields(bound: Bound, decision: Decision | None, *, legacy: bool) -> Fields:
    """RateLimit-Policy, RateLimit and the multiplier; nothing when there are no numbers we can stand behind."""
    if decision is None or decision.degraded:
        return []
    fields = [("x-adaptive-multiplier", f"{decision.multiplier:g}")]
    if policy := bound.policy_header.text(decision):
        fields.append(("ratelimit-policy", policy))
        fields.append(("ratelimit", headers.rate_limit(decision)))
    return fields + headers.legacy(decision) if legacy else fields


def passed_through(response: UpstreamResponse, fields: Fields, request: LeanRequest) -> LeanResponse:
    """The upstream's response unchanged, with our headers beside it: none of them is in ``FROM_UPSTREAM``."""
    passed = [(name.lower(), value) for name, value in response.headers]
    return LeanResponse(
        response.status, passed + _own(response, request) + fields, response.body or b"", response.chunks
    )


def enveloped(
    response: UpstreamResponse, body: bytes, fields: Fields, request: LeanRequest, decision: Decision | None
) -> LeanResponse:
    """The upstream's response inside ``{status, data, latency_ms, adaptive_multiplier}``; 502 when it was an error."""
    good = response.ok and response.status < 400
    document: dict[str, Any] = {"status": "success" if good else "error"}
    if not good:
        document["error"] = (
            f"The upstream answered {response.status}{_UNLIKE_SUCCESS if response.status < 300 else ''}."
        )
    document |= {
        "data": embedded(body),
        "latency_ms": round(response.latency_us / 1000, 3),
        "adaptive_multiplier": decision.multiplier if decision else 1.0,
    }
    passed = [("content-type", "application/json"), *_own(response, request), *fields]
    return LeanResponse(200 if good else 502, passed, encode(document))


def _own(response: UpstreamResponse, request: LeanRequest) -> Fields:
    return [("x-request-id", request.request_id), ("x-upstream-latency-ms", f"{response.latency_us / 1000:.3f}")]
