"""The sandbox's answer to one call, before it is sent, and the error bodies CXone and Genesys use."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field

from quota_platform.sandbox.fields import Fields

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
BUSY_PAGE = b"<html><head><title>503 Service Unavailable</title></head><body><h1>Service Unavailable</h1></body></html>"


class Manner(enum.Enum):
    """How the response goes over the wire."""

    WHOLE = "whole"
    DRIP = "drip"
    CLOSE_BEFORE_HEADERS = "close_before_headers"
    RESET_BEFORE_HEADERS = "reset_before_headers"
    RESET_MID_BODY = "reset_mid_body"


@dataclass(slots=True)
class SandboxResponse:
    """Status, headers and body as they will be sent. ``pause_ms`` comes on top of the latency profile."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = JSON
    headers: dict[str, str] = field(default_factory=dict)
    manner: Manner = Manner.WHOLE
    chunk_bytes: int = 1
    chunk_ms: float = 50.0
    pause_ms: float = 0.0
    forever: bool = False
    """Never sent, unless the control API lets the held calls go."""


def reply(payload: object, *, status: int = 200, headers: dict[str, str] | None = None) -> SandboxResponse:
    """A JSON response."""
    return SandboxResponse(status=status, body=json.dumps(payload).encode(), headers=headers or {})


def empty(status: int) -> SandboxResponse:
    """A response without a body."""
    return SandboxResponse(status=status, content_type=None)


def api_error(status: int, *, error: str, description: str, key: str = "errorDescription") -> SandboxResponse:
    """CXone's error body. NICE spells the second key in three ways; ``key`` says which one."""
    return reply({"error": error, key: description}, status=status)


def missing_parameter(name: str) -> SandboxResponse:
    """400 as the contact endpoints answer it, with their odd spelling of the second key."""
    return api_error(400, error="missing_parameter", description=f"{name} is required.", key="error_Description")


def no_accept() -> SandboxResponse:
    """What CXone answers, with status 200, to a request that names no media type it can send."""
    return SandboxResponse(body=b"No known way to render data", content_type="text/html")


def script_response(fields: Fields) -> SandboxResponse:
    """What a tester has written to be given in place of the echo: ``{"status": 201, "body": {…}, "headers": {…}}``.

    A string body is sent as it is, all else as JSON.
    """
    status = fields.whole("status", low=200, high=599, default=200)
    content_type = fields.text("content_type", default=JSON)
    headers = fields.headers("headers")
    body = fields.raw("body")
    fields.done()
    raw = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return SandboxResponse(status=status, body=raw, content_type=content_type, headers=headers)
