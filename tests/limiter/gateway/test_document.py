"""Documents as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limiter.gateway.document import check_json, embedded
from limiter.gateway.problems import GatewayProblem
from quota_platform.base.lean.document import encode


@pytest.mark.parametrize(
    "document",
    [{"status": 429, "multiplier": 0.5, "detail": "Zürich 客服"}, {"n": 2**70}, {"half": "\ud83d"}, {}],
    ids=["plain", "number above 64 bits", "half a surrogate pair", "empty"],
)
def test_a_document_is_read_back_as_it_was(document: dict[str, Any]) -> None:
    assert json.loads(encode(document)) == document


def test_a_document_holds_no_number_that_json_lacks() -> None:
    assert encode({"p95": float("nan")}) == b'{"p95":null}'


@pytest.mark.parametrize(
    "raw",
    [b"1e400", b'{"id": 12345678901234567890123, "at": 0.12345678901234567890}', b'"\\ud800"', b' [1, {"a": null}]\n'],
)
def test_an_upstreams_json_stands_in_a_document_as_it_was_written(raw: bytes) -> None:
    assert encode({"data": embedded(raw)}) == b'{"data":%b}' % raw


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"", None),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "[-Infinity]"),
        (b"not JSON", "not JSON"),
        (b"\xff\xfe\xfd", "\ufffd\ufffd\ufffd"),
        (b"[" * 100_000, "[" * 100_000),
        (b"\xef\xbb\xbf[1]", [1]),
        ('{"a": "é"}'.encode("utf-16"), {"a": "é"}),
    ],
    ids=["nothing", "NaN", "infinite", "text", "no Unicode", "nested too deeply", "byte-order mark", "UTF-16"],
)
def test_a_document_around_any_body_is_json(raw: bytes, data: object) -> None:
    assert json.loads(encode({"data": embedded(raw)})) == {"data": data}


BODIES = [b"", b" {} ", b"1e400", b'{"a":1,"a":2}', b'"\\ud83d\\ude00"', b"9" * 4300, b"[" * 400 + b"]" * 400]
NO_BODIES = [
    *(b"NaN", b"[-Infinity]", b"01", b"{} {}", b'"\\ud83d"', b'{"\\ude00":1}', b"\xef\xbb\xbf{}", b'"\xff"'),
    *(b"9" * 4301, b'{"deep":[%b]}' % (b"8" * 5000)),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_a_body_that_is_json_is_sent_on_whatever_numbers_it_holds(body: bytes) -> None:
    check_json(body)


@pytest.mark.parametrize("body", NO_BODIES, ids=lambda body: repr(body[:12]))
def test_a_body_that_is_no_json_of_whole_characters_is_refused(body: bytes) -> None:
    with pytest.raises(GatewayProblem):
        check_json(body)
