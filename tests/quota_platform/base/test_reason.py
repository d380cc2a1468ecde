"""A reason may be in any language, and has the same maximum length everywhere."""

from __future__ import annotations

import pytest

from quota_platform.base.reason import MAX_REASON, ReasonRefused, check, from_header

RULE = f"Use at most {MAX_REASON} printable characters."


def on_the_wire(text: str, encoding: str = "utf-8") -> str:
    """As ASGI hands on a header whose bytes are these."""
    return text.encode(encoding).decode("latin1")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("ticket 4711", "ticket 4711"),
        ("", ""),
        ("  x  ", "x"),
        (on_the_wire("Größe geändert"), "Größe geändert"),
        (on_the_wire("容量を変更 \U0001f600"), "容量を変更 \U0001f600"),
        (on_the_wire("Größe", "latin1"), "Größe"),
        ("容量", "容量"),
        ("UTF-8'de'Gr%C3%B6%C3%9Fe%20ge%c3%a4ndert", "Größe geändert"),
        ("utf-8''plain", "plain"),
        ("UTF-8 is a name", "UTF-8 is a name"),
        ("it's 100%", "it's 100%"),
        (on_the_wire("ö" * MAX_REASON), "ö" * MAX_REASON),
    ],
)
def test_a_header_is_utf_8_or_an_extended_value(header: str, reason: str) -> None:
    assert from_header(header) == reason


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (on_the_wire("ö" * (MAX_REASON + 1)), RULE),
        ("UTF-8''a%0Ab", RULE),
        ("UTF-8''a%00b", RULE),
        ("a\x85b", RULE),
        ("UTF-8''%FF", "The percent-encoded characters are not UTF-8."),
        ("UTF-8''%ED%A0%80", "The percent-encoded characters are not UTF-8."),
    ],
)
def test_a_reason_that_cannot_be_stored_is_refused(header: str, says: str) -> None:
    with pytest.raises(ReasonRefused) as caught:
        from_header(header)
    assert str(caught.value) == says


@pytest.mark.parametrize("reason", ["x" * (MAX_REASON + 1), "two\nlines", "\ud800", "\0"])
def test_a_reason_is_one_line_of_what_can_be_printed(reason: str) -> None:
    with pytest.raises(ReasonRefused):
        check(reason)
