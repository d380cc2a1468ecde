"""Documents as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limiter.gateway.document import encode


@pytest.mark.parametrize(
    "document",
    [{"status": 429, "multiplier": 0.5, "detail": "Zürich 客服"}, {"n": 2**70}, {"half": "\ud83d"}, {}],
    ids=["plain", "number above 64 bits", "half a surrogate pair", "empty"],
)
def test_a_document_is_read_back_as_it_was(document: dict[str, Any]) -> None:
    assert json.loads(encode(document)) == document


def test_a_document_holds_no_number_that_json_lacks() -> None:
    assert encode({"p95": float("nan")}) == b'{"p95":null}'
