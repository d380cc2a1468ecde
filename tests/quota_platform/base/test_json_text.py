"""JSON is read strictly, and errors name their place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quota_platform.base import json_text
from quota_platform.base.json_text import JsonRefused

HALF = "Half of a surrogate pair is no character; send whole ones."
TWICE = "This is given twice; send it once."
LONG = "This number is too long; it may have at most 4,300 digits."


def refused(text: bytes | str, *, storable: bool = True) -> tuple[str, str]:
    with pytest.raises(JsonRefused) as caught:
        json_text.read(text, storable=storable)
    return caught.value.place, caught.value.message


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (rb'"\ud800"', "", HALF),
        (rb'{"a": "\ud800"}', "a", HALF),
        (rb'{"a": "x\udfffy"}', "a", HALF),
        (rb'{"a": "\udc00\ud800"}', "a", HALF),
        (rb'{"limits": [{}, {"name": "\uDBFF"}]}', "limits[1].name", HALF),
        (rb'{"\ud800": 1}', r"\ud800", f"In the name: {HALF}"),
        (rb'{"a": {"\ud800": 1}}', r"a.\ud800", f"In the name: {HALF}"),
        (b'{"a": [1, ' + b"9" * 4301 + b"]}", "a[1]", LONG),
        (b"9" * 4301, "", LONG),
        (b'{"a": NaN}', "a", "NaN is not a JSON number."),
        (b'{"a": [-Infinity]}', "a[0]", "-Infinity is not a JSON number."),
    ],
)
@pytest.mark.parametrize("storable", [True, False])
def test_text_that_is_no_json_is_named(text: bytes, place: str, message: str, storable: bool) -> None:
    assert refused(text, storable=storable) == (place, message)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (rb'{"a": "x\u0000"}', "a", "Leave NUL characters out."),
        (rb'{"a\u0000": 1}', r"a\u0000", "In the name: Leave NUL characters out."),
        (b'{"a": 1e400}', "a", "This number is too large."),
        (b'{"a": [-1e400]}', "a[0]", "This number is too large."),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', "b.c", TWICE),
        (b"[" * 200 + b"]" * 200, "[0]" * 66 + "[0", "This is nested too deeply."),
    ],
)
def test_values_that_cannot_be_stored_are_named_and_can_be_sent_on(text: bytes, place: str, message: str) -> None:
    assert refused(text) == (place, message)
    json_text.read(text, storable=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "The text is empty."),
        (b"  ", "The text is empty."),
        (b"\xff", "The text is not UTF-8."),
        (b'"\xed\xa0\x80"', "The text is not UTF-8."),
        ("{}".encode("utf-16"), "The text is not UTF-8."),
        (b"\xef\xbb\xbf{}", "The text begins with a byte-order mark; send it without."),
        ("\ufeff{}", "The text begins with a byte-order mark; send it without."),
        (b"[" * 100_000, "The JSON is nested too deeply."),
        (b'{"a": 1,\n "b" 2}', "This is not JSON from line 2, column 6 on."),
        (b"{} {}", "This is not JSON from line 1, column 4 on."),
    ],
)
def test_a_text_that_is_no_json_is_reported_without_the_words_of_a_parser(text: bytes | str, message: str) -> None:
    assert refused(text) == ("", message)
    assert refused(text, storable=False) == ("", message)


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, "Größe \U0001f600 \u2028", [], {}, {"a": [{"b": "\ufffd"}]}, 10**300, "9" * 5000]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_all_else_is_read_as_it_is(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert json_text.read(text) == json_text.read(text.encode()) == value
