"""The gateway's answers, finished: status, headers and body as they go out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from limiter.core import headers
from limiter.core.types import Decision
from limiter.gateway.document import embedded, encode
from limiter.gateway.problems import CONTENT_TYPE, Problem
from limiter.gateway.request import GatewayRequest
from limiter.gateway.stacks import Bound
from limiter.upstream.call import UpstreamResponse

_OURS = ("x-request-id", "x-upstream-latency-ms", "x-adaptive-multiplier", "ratelimit", "ratelimit-policy")

Fields = list[tuple[str, str]]


@dataclass(slots=True)
class GatewayResponse:
    """A response that needs no rendering. Header names are in lower case; ``chunks`` stands in for a long body.

    Not Django's HttpResponse, whose headers, cookies and charset handling cost 20 us a call.
    """

    status: int
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None


def problem_response(problem: Problem, request: GatewayRequest) -> GatewayResponse:
    """A problem as an answer."""
    fields = [("content-type", CONTENT_TYPE), ("x-request-id", request.request_id), ("cache-control", "no-store")]
    fields += [(name.lower(), value) for name, value in problem.fields]
    body = problem.body(instance=request.path_info, request_id=request.request_id)
    return GatewayResponse(problem.status, fields, body)


def json_response(data: Any, request: GatewayRequest, *, status: int = 200) -> GatewayResponse:
    """Plain data as a JSON answer."""
    fields = [("content-type", "application/json"), ("x-request-id", request.request_id), ("cache-control", "no-store")]
    return GatewayResponse(status, fields, encode(data))


def quota_fields(bound: Bound, decision: Decision | None, *, legacy: bool) -> Fields:
    """RateLimit-Policy, RateLimit and the multiplier; nothing when there are no numbers we can stand behind."""
    if decision is None or decision.degraded:
        return []
    fields = [("x-adaptive-multiplier", f"{decision.multiplier:g}")]
    if policy := bound.announced.by(decision):
        fields.append(("ratelimit-policy", policy))
        fields.append(("ratelimit", headers.rate_limit(decision)))
    return fields + headers.legacy(decision) if legacy else fields


def passed_through(response: UpstreamResponse, fields: Fields, request: GatewayRequest) -> GatewayResponse:
    """The upstream's answer unchanged, with ours beside it."""
    passed = [(name, value) for name, value in ((n.lower(), v) for n, v in response.headers) if name not in _OURS]
    return GatewayResponse(
        response.status, passed + _own(response, request) + fields, response.body or b"", response.chunks
    )


def enveloped(
    response: UpstreamResponse, body: bytes, fields: Fields, request: GatewayRequest, decision: Decision | None
) -> GatewayResponse:
    """The upstream's answer inside ``{status, data, latency_ms, adaptive_multiplier}``; 502 when it was an error."""
    good = response.ok and response.status < 400
    document: dict[str, Any] = {"status": "success" if good else "error"}
    if not good:
        document["error"] = f"The upstream answered {response.status}."
    document |= {
        "data": embedded(body),
        "latency_ms": round(response.latency_us / 1000, 3),
        "adaptive_multiplier": decision.multiplier if decision else 1.0,
    }
    passed = [("content-type", "application/json"), *_own(response, request), *fields]
    return GatewayResponse(200 if good else 502, passed, encode(document))


def _own(response: UpstreamResponse, request: GatewayRequest) -> Fields:
    return [("x-request-id", request.request_id), ("x-upstream-latency-ms", f"{response.latency_us / 1000:.3f}")]
