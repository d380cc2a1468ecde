"""A JSON document as the bytes that go out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson


def encode(document: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8. orjson takes a tenth of the time, but no number above 64 bits and no half of a surrogate pair."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return json.dumps(document).encode()
