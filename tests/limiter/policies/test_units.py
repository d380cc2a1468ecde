"""Numbers as people say them, in the policy's form."""

from __future__ import annotations

import pytest
from django.utils import translation

from limiter.policies.admin.units import SecondsField, rate_of, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("2 h", 7_200),
        ("2h", 7_200),
        ("1 minute", 60),
        ("minute", 60),
        ("90 sec.", 90),
        ("1 Day", 86_400),
        ("", None),
        ("-5", None),
        ("2 fortnights", None),
        ("1.5 h", None),
    ],
)
def test_a_length_of_time_is_read_as_people_write_it(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


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


@pytest.mark.parametrize("language", ["en", "de", "es"])
@pytest.mark.parametrize("seconds", [1, 60, 90, 7_200, 86_400, 604_800, 999_999_999])
def test_the_shown_length_is_read_again_as_the_same_in_every_language(language: str, seconds: int) -> None:
    with translation.override(language):
        assert seconds_of(str(SecondsField().prepare_value(seconds))) == seconds
