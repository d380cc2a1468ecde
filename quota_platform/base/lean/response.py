"""A response, finished: status, headers and body as they go out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from quota_platform.base.lean.document import encode
from quota_platform.base.lean.problem import CONTENT_TYPE, Problem
from quota_platform.base.lean.request import LeanRequest

Fields = list[tuple[str, str]]


@dataclass(slots=True)
class LeanResponse:
    """A response that needs no rendering. Header names are in lower case; ``chunks`` stands in for a long body.

    Not Django's HttpResponse, whose headers, cookies and charset handling cost 20 us a call.
    """

    status: int
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None


def problem_response(problem: Problem, request: LeanRequest) -> LeanResponse:
    """A problem as a response."""
    fields = [("content-type", CONTENT_TYPE), ("x-request-id", request.request_id), ("cache-control", "no-store")]
    fields += [(name.lower(), value) for name, value in problem.fields]
    body = problem.body(instance=request.path_info, request_id=request.request_id)
    return LeanResponse(problem.status, fields, body)


def json_response(data: Any, request: LeanRequest, *, status: int = 200) -> LeanResponse:
    """Plain data as a JSON response."""
    fields = [("content-type", "application/json"), ("x-request-id", request.request_id), ("cache-control", "no-store")]
    return LeanResponse(status, fields, encode(data))
