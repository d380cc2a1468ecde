"""JSON Pointers, as RFC 6901 has them."""

from __future__ import annotations

import pytest

from quota_platform.base import json_pointer

EXAMPLE = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, " ": 7, "~1": 9, "nothing": None, "ä": {"0": "x"}}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/m~0n", 8),
        ("/ ", 7),
        ("/~01", 9),
        ("/ä/0", "x"),
        ("/nothing", None),
        ("/missing", None),
        ("/foo/2", None),
        ("/foo/-", None),
        ("/foo/00", None),
        ("/foo/-1", None),
        ("/foo/\u0660", None),
        ("/foo/0/deeper", None),
    ],
)
def test_a_pointer_leads_to_its_value_and_to_nothing_else(pointer: str, value: object) -> None:
    assert json_pointer.find(EXAMPLE, pointer) == value


@pytest.mark.parametrize("payload", [None, 5, "text", True, []])
def test_where_there_is_no_object_there_is_nothing(payload: object) -> None:
    assert json_pointer.find(payload, "/contactId") is None


@pytest.mark.parametrize(
    ("pointer", "says"),
    [
        ("", "starts with /"),
        ("contactId", "starts with /"),
        ("$.contactId", "starts with /"),
        ("/a~", "~0 stands for ~"),
        ("/a~2b", "~0 stands for ~"),
        ("/a\nb", "printable"),
        ("/" + 200 * "a", "at most 200"),
    ],
)
def test_a_malformed_pointer_is_refused_with_the_remedy(pointer: str, says: str) -> None:
    with pytest.raises(json_pointer.PointerWrong, match=says):
        json_pointer.tokens(pointer)
