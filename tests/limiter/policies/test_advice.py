"""Limits that another limit makes idle are pointed out, and windows that follow the upstream alone; others are not."""

from __future__ import annotations

from typing import Any

import pytest

from limiter.models import QuotaLimit, QuotaPolicy
from limiter.policies.advice import advice, idle_limits


def line(name: str, quota: int, window_seconds: int | None, **fields: Any) -> QuotaLimit:
    return QuotaLimit(name=name, quota=quota, window_seconds=window_seconds, **fields)


MINUTE = line("minute", 100, 60)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ([MINUTE, line("hour", 6000, 3600)], ["hour is never reached: minute lets at most 6,000 units pass per hour."]),
        ([MINUTE, line("hour", 5999, 3600)], []),
        ([MINUTE, line("strict", 150, 90)], []),
        ([line("contact", 100, 60, counted_by="/contactId"), line("hour", 6000, 3600)], []),
        (
            [MINUTE, line("contact", 6000, 3600, counted_by="/contactId")],
            ["contact is never reached: minute lets at most 6,000 units pass per hour."],
        ),
        ([MINUTE, line("strict", 90, 90)], ["minute is never reached: strict lets at most 90 units pass per minute."]),
        (
            [MINUTE, line("loose", 200, 90)],
            ["loose is never reached: minute lets at most 200 units pass per 90 seconds."],
        ),
        ([MINUTE, line("second", 99, 1)], []),
        ([MINUTE, line("second", 100, 1)], ["second is never reached: minute lets at most 100 units pass per second."]),
        ([MINUTE, line("same", 100, 60)], ["same is never reached: minute lets at most 100 units pass per minute."]),
        ([MINUTE, line("day", 10**6, 86_400, counted_per="tenant")], []),
        (
            [line("tenant", 50, 60, counted_per="tenant"), MINUTE],
            ["minute is never reached: tenant lets at most 50 units pass per minute."],
        ),
        ([line("key", 50, 60, counted_per="key"), MINUTE], []),
        (
            [line("bucket", 17, 60, algorithm="token_bucket", burst=250), line("hour", 5000, 3600)],
            ["hour is never reached: bucket lets at most 1,270 units pass per hour."],
        ),
        ([line("slots", 5, None, algorithm="concurrency"), MINUTE], []),
    ],
)
def test_only_limits_that_cannot_bind_are_named(limits: list[QuotaLimit], said: list[str]) -> None:
    assert idle_limits(QuotaPolicy(), limits) == said


def test_the_multiplier_is_taken_into_account() -> None:
    shrinking, fixed = line("hour", 6000, 3600, adaptive=True), line("minute", 100, 60, adaptive=False)
    assert idle_limits(QuotaPolicy(), [fixed, shrinking]) == []
    assert len(idle_limits(QuotaPolicy(adaptive=False), [fixed, shrinking])) == 1
    growing = [line("minute", 100, 60), line("hour", 6000, 3600, adaptive=False)]
    assert len(idle_limits(QuotaPolicy(), growing)) == 1
    assert idle_limits(QuotaPolicy(max_multiplier=1.5), growing) == []


def test_half_typed_limits_are_passed_over() -> None:
    assert idle_limits(QuotaPolicy(), [QuotaLimit(name="new"), MINUTE]) == []


def test_a_window_that_follows_the_upstream_is_advised_a_concurrency_limit_beside_it() -> None:
    slots, fixed_slots = (
        line("slots", 5, None, algorithm="concurrency", adaptive=adaptive) for adaptive in (True, False)
    )
    half_typed = QuotaLimit(algorithm="sliding_log")
    day = line("day", 5000, 86_400)
    for limits in ([MINUTE], [MINUTE, fixed_slots], [day, MINUTE]):
        (said,) = advice(QuotaPolicy(), limits)
        assert said.startswith("minute: a window that shrinks lets nothing pass until it has emptied.")
    assert advice(QuotaPolicy(), [half_typed])[0].startswith("…: ")
    for limits in ([MINUTE, slots], [day], [line("minute", 100, 60, adaptive=False)], [slots], []):
        assert advice(QuotaPolicy(), limits) == []
    for policy in (QuotaPolicy(adaptive=False), QuotaPolicy(cut_carrier="in_flight")):
        assert advice(policy, [MINUTE]) == []
