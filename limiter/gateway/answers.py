"""The gateway's answers as finished HTTP responses, with the headers that every answer carries."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from limiter.core import headers
from limiter.core.types import Decision
from limiter.gateway.problems import CONTENT_TYPE, Problem
from limiter.gateway.stacks import Bound
from limiter.upstream.call import UpstreamAnswer

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_HEAD_ONLY = ("x-request-id", "x-upstream-latency-ms", "x-adaptive-multiplier", "ratelimit", "ratelimit-policy")


def request_id(request: HttpRequest) -> str:
    """The caller's X-Request-Id when it is one that can be logged and sent on; else a new one. The same all along."""
    found = getattr(request, "gateway_request_id", None)
    if found is None:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        found = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
        request.gateway_request_id = found  # type: ignore[attr-defined]
    return str(found)


def problem_answer(problem: Problem, request: HttpRequest) -> HttpResponse:
    """A problem as a response."""
    this = request_id(request)
    response = HttpResponse(
        problem.body(instance=request.path_info, request_id=this), status=problem.status, content_type=CONTENT_TYPE
    )
    response["X-Request-Id"] = this
    response["Cache-Control"] = "no-store"
    for name, value in problem.fields:
        response[name] = value
    return response


def json_answer(data: Any, request: HttpRequest, *, status: int = 200) -> HttpResponse:
    """Plain data as a JSON response."""
    response = HttpResponse(json.dumps(data), status=status, content_type="application/json")
    response["X-Request-Id"] = request_id(request)
    response["Cache-Control"] = "no-store"
    return response


def quota_fields(bound: Bound, decision: Decision | None, *, legacy: bool) -> list[tuple[str, str]]:
    """RateLimit-Policy, RateLimit and the multiplier; nothing when there are no numbers we can stand behind."""
    if decision is None or decision.degraded:
        return []
    fields = [("X-Adaptive-Multiplier", f"{decision.multiplier:g}")]
    if bound.policy_header:
        fields.append(("RateLimit-Policy", bound.policy_header))
        fields.append(("RateLimit", headers.rate_limit(decision)))
    return fields + headers.legacy(decision) if legacy else fields


def passed_through(
    answer: UpstreamAnswer, fields: Iterable[tuple[str, str]], request: HttpRequest
) -> HttpResponse | StreamingHttpResponse:
    """The upstream's answer unchanged, with ours beside it."""
    response: HttpResponse | StreamingHttpResponse
    if answer.chunks is None:
        response = HttpResponse(answer.body or b"", status=answer.status)
    else:
        response = StreamingHttpResponse(answer.chunks, status=answer.status)
    del response["Content-Type"]
    for name, value in answer.headers:
        if name.lower() not in _HEAD_ONLY:
            response[name] = value
    _own(response, answer, fields, request)
    return response


def enveloped(
    answer: UpstreamAnswer,
    body: bytes,
    fields: Iterable[tuple[str, str]],
    request: HttpRequest,
    decision: Decision | None,
) -> HttpResponse:
    """The upstream's answer inside ``{status, data, latency_ms, adaptive_multiplier}``; 502 when it was an error."""
    try:
        data = json.loads(body) if body else None
    except ValueError:
        data = body.decode("utf-8", "replace")
    good = answer.ok and answer.status < 400
    document: dict[str, Any] = {"status": "success" if good else "error"}
    if not good:
        document["error"] = f"The upstream answered {answer.status}."
    document |= {
        "data": data,
        "latency_ms": round(answer.latency_us / 1000, 3),
        "adaptive_multiplier": decision.multiplier if decision else 1.0,
    }
    response = HttpResponse(json.dumps(document), status=200 if good else 502, content_type="application/json")
    _own(response, answer, fields, request)
    return response


def _own(
    response: HttpResponse | StreamingHttpResponse,
    answer: UpstreamAnswer,
    fields: Iterable[tuple[str, str]],
    request: HttpRequest,
) -> None:
    for name, value in fields:
        response[name] = value
    response["X-Request-Id"] = request_id(request)
    response["X-Upstream-Latency-Ms"] = f"{answer.latency_us / 1000:.3f}"
