"""When an alert starts and when it is over: a table, and a walk on the edge that must not flap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.core.thresholds import left, reached


@pytest.mark.parametrize(
    ("threshold", "used", "effective", "is_reached", "is_left"),
    [
        (80, 79, 100, False, False),
        (80, 80, 100, True, False),
        (80, 75, 100, False, False),
        (80, 74, 100, False, True),
        (100, 99, 100, False, False),
        (100, 130, 100, True, False),  # the limit was lowered below its use
        (95, 9, 10, False, False),
        (80, 2, 3, False, True),
        (4, 2, 100, False, False),
        (4, 1, 100, False, True),
        (1, 0, 100, False, True),
        (80, 0, 1, False, True),
    ],
)
def test_a_threshold_is_reached_at_its_percentage_and_left_by_a_margin(
    threshold: int, used: int, effective: int, is_reached: bool, is_left: bool
) -> None:
    assert reached(threshold, used=used, effective=effective) is is_reached
    assert left(threshold, used=used, effective=effective) is is_left


@given(st.integers(1, 100), st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_threshold_is_never_reached_and_left_at_once_and_no_use_leaves_all(
    threshold: int, used: int, effective: int
) -> None:
    assert not (reached(threshold, used=used, effective=effective) and left(threshold, used=used, effective=effective))
    assert left(threshold, used=0, effective=effective)
