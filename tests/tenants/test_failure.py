"""The rule by which an action finds a failure inside a 2xx response."""

from __future__ import annotations

from typing import Any

import pytest

from tenants import failure
from tenants.directory import ActionSpec


def judged(**fields: Any) -> ActionSpec:
    return ActionSpec(1, "send", failure_at="/error", **fields)


NO_VALUE: tuple[Any, ...] = (
    {},
    {"error": None},
    {"error": False},
    {"error": 0},
    {"error": ""},
    {"error": []},
    None,
    [],
    "error",
)
A_VALUE: tuple[Any, ...] = ({"error": "no such row"}, {"error": True}, {"error": 7}, {"error": {"code": None}})


@pytest.mark.parametrize("payload", [*NO_VALUE, *A_VALUE], ids=repr)
def test_a_failure_is_a_value_that_is_there_or_is_missing(payload: Any) -> None:
    is_there = payload in A_VALUE
    assert failure.status_of(judged(failure_when="filled"), payload) == (500 if is_there else None)
    assert failure.status_of(judged(failure_when="empty"), payload) == (None if is_there else 500)


@pytest.mark.parametrize(
    ("found", "is_one"),
    [("ERROR", True), (7, True), (7.0, True), (True, True), (1, False), ("error", False), (None, False), ([7], False)],
)
def test_a_failure_is_one_of_the_values_or_none_of_them(found: Any, is_one: bool) -> None:
    values = ("ERROR", 7, True)
    for when, failed in (("one_of", is_one), ("none_of", not is_one)):
        status = failure.status_of(judged(failure_when=when, failure_values=values), {"error": found})
        assert status == (500 if failed else None)


def test_a_failure_counts_as_an_error_or_as_turned_away() -> None:
    assert failure.status_of(judged(failure_counts_as="overload"), {"error": "busy"}) == 429


def test_a_rule_of_a_later_release_finds_no_failure() -> None:
    assert failure.status_of(judged(failure_counts_as="unheard of"), {"error": "busy"}) is None
