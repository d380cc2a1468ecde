"""A caller's body, checked to be JSON."""

from __future__ import annotations

import json
import re

from limiter.gateway.problems import Problem
from quota_platform.base import json_text


def check_json(body: bytes) -> None:
    """Raise Problem 400 unless ``body`` is empty or one JSON text (RFC 8259: UTF-8, no NaN) of whole characters."""
    if not body:
        return
    try:
        _DECODER.decode(str(body, "utf-8"))
        if not _ESCAPED_HALF.search(body):
            return
    except (ValueError, RecursionError):
        pass  # read once more, slowly, for what is wrong and where
    try:
        json_text.read(body, storable=False)
    except json_text.JsonRefused as error:
        raise Problem(400, "body-not-json", f"The body is not JSON that can be sent on. {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""The only way that half of a surrogate pair gets into UTF-8; whole pairs are written so too."""
