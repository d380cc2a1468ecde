"""Answers written by the tester, to be given in place of the echo."""

from __future__ import annotations

import json

from quota_platform.sandbox.answers import JSON, Answer
from quota_platform.sandbox.fields import Fields


def script_answer(fields: Fields) -> Answer:
    """Read ``{"status": 201, "body": {…}, "headers": {…}}``. A string body is sent as it is, all else as JSON."""
    status = fields.whole("status", low=200, high=599, default=200)
    content_type = fields.text("content_type", default=JSON)
    headers = fields.headers("headers")
    body = fields.raw("body")
    fields.done()
    raw = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Answer(status=status, body=raw, content_type=content_type, headers=headers)
