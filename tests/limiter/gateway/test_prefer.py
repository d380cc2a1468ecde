"""The ``Prefer`` header as callers write it."""

from __future__ import annotations

import pytest

from limiter.gateway import prefer


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("wait=10", 10),
        ("respond-async, WAIT = 5", 5),
        ('foo="a, wait=7"; bar, wait="12"; x=1', 12),
        ("wait=3, wait=9", 3),
        ("wait=0", 0),
    ],
)
def test_a_wait_is_found_among_preferences(value: str, seconds: int) -> None:
    assert prefer.wait_seconds(value) == seconds


@pytest.mark.parametrize(
    "value", ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=soon", "waits=3", "wait=9999999999", "wait=٣"]
)
def test_a_malformed_wait_counts_for_nothing(value: str) -> None:
    assert prefer.wait_seconds(value) is None
