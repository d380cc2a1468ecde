"""The ways an upstream signals "too many": a bare 429, Retry-After in two spellings, Genesys's body, and a 503 page."""

from __future__ import annotations

import email.utils
import math
import uuid

from quota_platform.sandbox.responses import BUSY_PAGE, HTML, SandboxResponse, empty, reply

FLAVOURS = ("bare", "retry_after", "retry_after_date", "genesys", "x_ratelimit", "busy")


def pushback(flavour: str, *, wait_s: float, now: float, limit: int = 0) -> SandboxResponse:
    """The refusal in one flavour. ``wait_s``: the wait in the response, if the flavour has one."""
    seconds = max(1, math.ceil(wait_s))
    if flavour == "retry_after":
        response = empty(429)
        response.headers["Retry-After"] = str(seconds)
    elif flavour == "retry_after_date":
        # A date has whole seconds; round up so that the moment named is not too early.
        response = empty(429)
        response.headers["Retry-After"] = email.utils.formatdate(math.ceil(now + seconds), usegmt=True)
        response.headers["Date"] = email.utils.formatdate(now, usegmt=True)
    elif flavour == "genesys":
        response = _genesys(seconds)
    elif flavour == "x_ratelimit":
        response = empty(429)
        reset = str(math.ceil(now + seconds))
        response.headers |= {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    elif flavour == "busy":
        response = SandboxResponse(status=503, body=BUSY_PAGE, content_type=HTML)
    else:
        # Nobody publishes what CXone sends; public clients report a 429 they could read nothing from.
        response = empty(429)
    return response


def _genesys(seconds: int) -> SandboxResponse:
    correlation = str(uuid.uuid4())
    body = {
        "message": f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
        "code": "too.many.requests.retry.after",
        "status": 429,
        "contextId": correlation,
        "details": [],
        "errors": [],
    }
    return reply(body, status=429, headers={"Retry-After": str(seconds), "ININ-Correlation-Id": correlation})
