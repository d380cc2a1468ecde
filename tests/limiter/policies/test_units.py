"""Rates as people say them, in the policy's form."""

from __future__ import annotations

import pytest

from limiter.policies.admin.units import rate_of


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100 per minute", (100, 60)),
        ("5/2 h", (5, 7_200)),
        ("100 / min", (100, 60)),
        ("100", None),
        ("100 per", None),
        ("per minute", None),
        ("100 per 0", None),
    ],
)
def test_a_rate_gives_units_and_window(text: str, rate: tuple[int, int] | None) -> None:
    assert rate_of(text) == rate
