"""Values that two releases share are read as far as they are understood, and refused in words elsewhere."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import pytest

from limiter.core import versioned
from limiter.core.versioned import Form, Newer, Unreadable


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 7


def of_first(data: dict[str, int]) -> Point:
    return versioned.build(Point, data, whole=False)


def of_second(data: dict[str, int]) -> Point:
    return Point(data["across"], data["down"])


FIRST = Form("point", {1: of_first})
SECOND = Form("point", {1: of_first, 2: of_second})
LENIENT = Form("point", {1: of_first}, lenient=True)


def test_the_first_version_is_not_named_and_later_ones_are() -> None:
    assert FIRST.dump({"x": 1}) == '{"x": 1}' and FIRST.marked("x") == "x"
    assert SECOND.dump({"across": 1}) == '{"across": 1, "v": 2}' and SECOND.marked("x") == "=2=x"


def test_a_release_can_read_a_version_that_it_does_not_write_yet() -> None:
    ahead = Form("point", {1: of_first, 2: of_second}, writes=1)
    assert ahead.dump({"x": 1}) == '{"x": 1}' and ahead.marked("x") == "x"
    assert ahead.load(SECOND.dump({"across": 3, "down": 4})) == Point(3, 4)


def test_a_reader_takes_what_it_knows_of_its_own_version_and_of_the_one_before() -> None:
    assert FIRST.load('{"x": 1, "colour": "red"}') == Point(1, 7)
    assert SECOND.load('{"x": 1}') == Point(1, 7)
    assert SECOND.load(SECOND.dump({"across": 3, "down": 4})) == Point(3, 4)
    assert SECOND.take({"across": 3, "down": 4, "v": "2"}) == Point(3, 4), "a stream's fields are text"


def test_a_newer_version_is_refused_and_counted_unless_what_is_known_of_it_will_do() -> None:
    before = versioned.unreadable["point"]
    with pytest.raises(Newer, match="point of version 3: this release reads 1 at most"):
        FIRST.load('{"x": 1, "v": 3}')
    assert versioned.unreadable["point"] == before + 1
    assert LENIENT.load('{"x": 1, "v": 3}') == Point(1, 7)


NONSENSE: list[str | bytes] = [
    *("", "{", "[1]", "7", "null", '{"y": 1}', '{"x": 1, "v": 0}', '{"x": 1, "v": "new"}', '{"x": 1, "v": null}'),
    *('{"x": 1, "v": 1.5}', b"\xff", "[" * 5_000),
]


@pytest.mark.parametrize("text", NONSENSE)
def test_what_makes_no_sense_is_unreadable_and_nothing_else(text: str | bytes) -> None:
    with pytest.raises(Unreadable):
        LENIENT.load(text)
    assert LENIENT.load_or_none(text) is None


def test_a_text_names_its_version_before_it() -> None:
    form = Form("line", {1: str.upper, 2: str.lower})
    assert (form.text("aB"), form.text("=2=aB"), form.text("=1=aB")) == ("AB", "ab", "AB")
    for text in ("=3=aB", "=x=aB", "=", "==aB", f"={'9' * 9_999}=aB"):
        with pytest.raises(Unreadable):
            form.text(text)


def test_the_first_of_a_kind_is_said_and_the_others_only_counted(caplog: pytest.LogCaptureFixture) -> None:
    form = Form("said once", {1: of_first})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            form.load_or_none("{")
    assert caplog.text.count("said once") == 1 and versioned.unreadable["said once"] == 3


def test_an_example_is_filled_with_what_is_of_its_type() -> None:
    example: dict[str, Any] = {
        "at": 0.0,
        "n": 1,
        "ok": True,
        "since": None,
        "in": {"a": 1, "b": "x"},
        "any": {},
        "list": [],
    }
    data = {"at": 2, "n": True, "ok": 0, "since": 3, "in": {"a": 5, "b": 6, "c": 7}, "any": {"k": 1}, "new": 1}
    assert versioned.filled(data, example) == {
        "at": 2,
        "n": 1,
        "ok": True,
        "since": 3,
        "in": {"a": 5, "b": "x"},
        "any": {"k": 1},
        "list": [],
    }
    assert versioned.filled("nonsense", example) == example


def test_a_whole_value_lacks_no_field_even_where_there_is_a_default() -> None:
    assert versioned.build(Point, {"x": 1, "y": 2, "z": 3}) == Point(1, 2)
    with pytest.raises(LookupError):
        versioned.build(Point, {"x": 1})
