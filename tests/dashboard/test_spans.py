"""The time that a chart shows, from the parameters of its address."""

from __future__ import annotations

import pytest

from dashboard import spans
from dashboard.spans import DAY_S, RANGES, Span, SpanRefused

NOW = 1_784_025_727
KEPT = 14


def span(**given: str) -> Span:
    return spans.asked({name.strip("_"): value for name, value in given.items()}).span(NOW, seconds_kept_days=KEPT)


@pytest.mark.parametrize("name", RANGES)
def test_a_range_is_exactly_as_long_as_its_name_and_ends_now(name: str) -> None:
    found = span(range=name)
    assert found.end - found.start == RANGES[name]
    assert abs(found.end - NOW) <= found.step_s and len(found.times()) <= 360
    assert found.start % found.step_s == found.end % found.step_s == 0


def test_steps_of_a_minute_and_more_include_the_running_one() -> None:
    assert span(range="15m").end <= NOW <= span(range="24h").end


def test_any_time_can_be_asked_for_in_any_zone() -> None:
    found = span(from_="2026-07-14T12:00+02:00", to="2026-07-14T10:05")
    assert found == Span(1_784_023_200, 1_784_023_500, 1)


def test_time_that_is_kept_by_the_minute_is_drawn_by_the_minute() -> None:
    assert span(from_="2026-01-01T00:00", to="2026-01-01T00:05").step_s == 60


def test_yesterday_has_the_same_steps() -> None:
    found = span(range="7d")
    assert found.earlier(DAY_S).start % found.step_s == 0


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"range": "2h"}, "range"),
        ({"from": "yesterday", "to": "2026-07-14T10:00"}, "from"),
        ({"from": "2026-07-14T10:00"}, "to"),
        ({"from": "2026-07-14T10:00", "to": "2026-07-14T09:00"}, "to"),
        ({"from": "2026-01-01T10:00", "to": "2026-07-14T09:00"}, "to"),
        ({"from": "0001-01-01T00:00+14:00", "to": "2026-07-14T09:00"}, "to"),
    ],
)
def test_a_time_that_cannot_be_shown_is_refused_by_the_name_of_its_parameter(given: dict[str, str], field: str) -> None:
    with pytest.raises(SpanRefused, match=f"^{field}:"):
        spans.asked(given)
