"""Retry-After in every spelling, full jitter, and the table of what may be repeated."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from limiter.upstream.errors import BreakerOpen, NotConfigured, OutcomeUnknown, Unreachable, UpstreamError
from limiter.upstream.retry import Budget, Verdict, above, backoff_s, retry_after_s, verdict, verdict_on_error

NOW = 1_700_000_000.0
OVERLOAD = frozenset({429, 503})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 17 ", 17.0),
        ("3600", 3600.0),
        ("0000000000000007", 7.0),
        ("86401", 86_400.0),
        ("9" * 400, 86_400.0),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("0x10", None),
        ("1_000", None),
        ("7, 7", None),
        ("2026-11-28T15:00:00Z", None),
        ("-1", None),
        ("1.5", None),
        ("+3", None),
        ("٣", None),
        ("soon", None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW + 90), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 10**8, usegmt=True), 86_400.0),
        ("Tue, 31 Feb 2026 25:61:61 GMT", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
    ],
)
def test_retry_after_is_read_or_ignored(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, date=None, wall=NOW) == seconds


@pytest.mark.parametrize("skew", [-(10**8), -3600, -1, 1, 3600, 10**8])
def test_a_retry_after_that_is_a_date_is_measured_against_the_date_of_its_own_response(skew: int) -> None:
    theirs = NOW + skew
    until = formatdate(theirs + 120, usegmt=True)
    assert retry_after_s(until, date=formatdate(theirs, usegmt=True), wall=NOW) == 120
    assert retry_after_s("Sunday, 06-Nov-94 08:49:37 GMT", date="Sun Nov  6 08:47:37 1994", wall=NOW) == 120


@pytest.mark.parametrize("date", [None, "", "today", "Tue, 31 Feb 2026 25:61:61 GMT"])
def test_a_retry_after_without_a_valid_date_beside_it_is_measured_against_our_clock(date: str | None) -> None:
    assert retry_after_s(formatdate(NOW + 90, usegmt=True), date=date, wall=NOW) == 90


@pytest.mark.parametrize(
    ("repeat", "chance", "wait"),
    [(1, 1.0, 2.0), (2, 1.0, 6.0), (3, 1.0, 18.0), (9, 1.0, 60.0), (3, 0.5, 9.0), (3, 0, 0)],
)
def test_the_wait_is_a_part_of_one_that_grows_to_a_minute(repeat: int, chance: float, wait: float) -> None:
    assert backoff_s(repeat, base_s=2, factor=3, chance=chance) == wait


@pytest.mark.parametrize(
    ("status", "says_when", "idempotent", "expected"),
    [
        (200, False, True, Verdict.DONE),
        (304, False, True, Verdict.DONE),
        (400, True, True, Verdict.DONE),
        (401, False, False, Verdict.RENEW_TOKEN),
        (403, False, True, Verdict.DONE),
        (429, False, False, Verdict.REPEAT),
        (429, True, True, Verdict.REPEAT),
        (503, False, False, Verdict.DONE),
        (503, True, False, Verdict.REPEAT),
        (503, False, True, Verdict.REPEAT),
        (500, True, False, Verdict.DONE),
        (500, False, True, Verdict.REPEAT),
        (502, False, False, Verdict.DONE),
        (504, False, True, Verdict.REPEAT),
        (501, False, True, Verdict.DONE),
    ],
)
def test_a_response_is_judged_by_whether_the_call_may_have_run(
    status: int, says_when: bool, idempotent: bool, expected: Verdict
) -> None:
    assert verdict(status, says_when=says_when, idempotent=idempotent, overload=OVERLOAD) is expected


def test_repeats_are_a_tenth_of_the_calls_and_a_few_more() -> None:
    budget = Budget()
    assert sum(budget.spend() for _ in range(100)) == 10
    for _ in range(15):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 1
    for _ in range(105):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 10


def test_a_worker_that_is_one_of_several_has_its_share_of_the_repeats_saved_up() -> None:
    budget = Budget()
    assert sum(budget.spend(saved=3) for _ in range(100)) == 3


@pytest.mark.parametrize(("said_s", "most_s"), [(0.0, 0.1), (1.0, 1.1), (20.0, 22.0), (600.0, 605.0)])
def test_a_repeat_comes_a_little_later_than_it_was_asked_to(said_s: float, most_s: float) -> None:
    assert above(said_s, chance=0.0) == said_s
    assert above(said_s, chance=1.0) == pytest.approx(most_s)


@pytest.mark.parametrize(
    ("error", "once", "idempotent"),
    [
        (Unreachable("x"), Verdict.REPEAT, Verdict.REPEAT),
        (OutcomeUnknown("x", timed_out=True), Verdict.DONE, Verdict.REPEAT),
        (OutcomeUnknown("x"), Verdict.DONE, Verdict.REPEAT),
        (NotConfigured("x"), Verdict.DONE, Verdict.DONE),
        (BreakerOpen("x"), Verdict.DONE, Verdict.DONE),
    ],
)
def test_an_error_is_judged_by_whether_the_call_may_have_run(
    error: UpstreamError, once: Verdict, idempotent: Verdict
) -> None:
    assert verdict_on_error(error, idempotent=False) is once
    assert verdict_on_error(error, idempotent=True) is idempotent
