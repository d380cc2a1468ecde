"""JSON that passes through: a caller's body on its way to the upstream, and an upstream's inside our envelope."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from limiter.gateway.problems import GatewayProblem
from quota_platform.base import json_text


def check_json(body: bytes) -> None:
    """Raise Problem 400 unless ``body`` is empty or one JSON text (RFC 8259: UTF-8, no NaN) of whole characters."""
    if not body:
        return
    try:
        orjson.loads(body)
        return
    except ValueError:
        pass  # it refuses more than we do: numbers that are infinite to it, among them integers too long for Python
    try:
        _STRICT.decode(str(body, "utf-8"))
        if not _ESCAPED_HALF.search(body):
            return
    except (ValueError, RecursionError):
        pass  # read once more, slowly, for the fault and its place
    try:
        json_text.read(body, storable=False)
    except json_text.JsonRefused as error:
        raise GatewayProblem(400, "body-not-json", f"The body is not JSON that can be sent on. {error}") from None


def embedded(raw: bytes) -> Any:
    """An upstream's body as a value of a document: JSON goes out as it was written, anything else as a text.

    Reading and writing it again would make null of 1e400 and round long numbers.
    """
    if not raw:
        return None
    try:
        text = raw.decode(json.detect_encoding(raw))
        _STRICT.decode(text)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")
    return orjson.Fragment(text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)
_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""The only way that half of a surrogate pair gets into UTF-8; whole pairs are written so too."""
