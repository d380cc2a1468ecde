"""The RateLimit fields as draft 11 spells them, for every algorithm, and the rounding of Retry-After."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from limiter.core import headers
from limiter.core.decision_ids import UPSTREAM
from limiter.core.in_flight import CARRIER, IN_FLIGHT
from limiter.core.sharing import PACE
from limiter.core.types import Decision, Limit, LimitState
from tests.limiter.core.given import S, bucket, counter, log, slots

# RFC 9651, as far as these fields use it: a List of Strings with Parameters that are Integers or Strings. Draft 11 has
# q, r, t non-negative and w positive Integers, and qu a String.
_STRING = r'"(?:[ !#-\[\]-~])*"'
_PARAMETER = rf";[a-z][a-z0-9_.*-]*=(?:-?\d{{1,15}}|{_STRING})"
_MEMBER = re.compile(rf"({_STRING})((?:{_PARAMETER})*)")
Value = int | str


@dataclass(frozen=True)
class Member:
    name: str
    parameters: dict[str, Value]


def parse(field: str) -> list[Member]:
    """A strict reading of a field; raises ValueError on what a conforming parser would refuse."""
    members = []
    for part in re.split(r", ?", field):
        match = _MEMBER.fullmatch(part)
        if match is None:
            raise ValueError(f"not a member: {part!r}")
        pairs = [pair.split("=", 1) for pair in match[2].split(";")[1:]]
        values = {name: value[1:-1] if value.startswith('"') else int(value) for name, value in pairs}
        if len(values) != len(pairs):
            raise ValueError("a parameter is given twice")
        members.append(Member(match[1][1:-1], values))
    return members


def decided(*states: LimitState) -> Decision:
    refused = any(state.wait_us for state in states if not state.limit.shadow)
    return Decision(not refused, "d", at_us=0, cost=1, multiplier_ppm=1_000_000, states=states)


def state(
    limit: Limit, used: int, *, effective: int | None = None, wait_us: int = 0, reset_us: int = 5 * S
) -> LimitState:
    return LimitState(limit, used, limit.quota if effective is None else effective, wait_us, reset_us)


def test_the_parser_is_strict() -> None:
    assert parse('"a";q=1;w=2, "b";q=3;qu="x"') == [Member("a", {"q": 1, "w": 2}), Member("b", {"q": 3, "qu": "x"})]
    for wrong in (
        "a;q=1",
        '"a"; q=1',
        '"a";q=1.5',
        '"a";q="',
        '"a" ;q=1',
        '"a";Q=1',
        "",
        '"a";q=1;q=2',
        '"a";q=1,,"b"',
    ):
        with pytest.raises(ValueError):
            parse(wrong)


@pytest.mark.parametrize(
    ("limit", "member"),
    [
        (log(100, window_us=60 * S), Member("minute", {"q": 100, "w": 60})),
        (counter(10**9, window_us=31 * 86_400 * S), Member("hour", {"q": 10**9, "w": 2_678_400})),
        (slots(25), Member("inflight", {"q": 25, "qu": "concurrent-requests"})),
        # 250 at once, refilled by 17 a minute: full again after 882.35… s.
        (bucket(17, burst=250, window_us=60 * S), Member("burst", {"q": 250, "w": 883})),
        (bucket(10, burst=10, window_us=1 * S), Member("burst", {"q": 10, "w": 1})),
        (bucket(1000, burst=1, window_us=1 * S), Member("burst", {"q": 1, "w": 1})),
    ],
)
def test_a_limit_is_announced_by_quota_and_window(limit: Limit, member: Member) -> None:
    assert parse(headers.policy([limit])) == [member]


def test_the_policy_lists_every_enforced_limit_in_order() -> None:
    limits = [log(100, window_us=60 * S), counter(9), slots(3), log(5, name="trial", shadow=True)]
    assert headers.policy(limits) == '"minute";q=100;w=60, "hour";q=9;w=60, "inflight";q=3;qu="concurrent-requests"'


def test_the_policy_of_no_limit_is_empty() -> None:
    assert headers.policy([log(1, shadow=True)]) == ""


@pytest.mark.parametrize(
    ("seen", "member"),
    [
        (state(log(20, window_us=60 * S), 0, effective=9), Member("minute", {"q": 9, "w": 60})),
        (state(slots(25), 0, effective=11), Member("inflight", {"q": 11, "qu": "concurrent-requests"})),
        # 7 a minute are left of 17, 112 at once of 250: full again after 960 s.
        (state(bucket(17, burst=250, window_us=60 * S), 0, effective=112), Member("burst", {"q": 112, "w": 960})),
        (state(log(20, window_us=60 * S, adaptive=False), 0, effective=20), Member("minute", {"q": 20, "w": 60})),
    ],
)
def test_a_cut_limit_is_announced_as_it_is_in_force(seen: LimitState, member: Member) -> None:
    decision = decided(seen, state(log(5, name="trial", shadow=True), 0))._replace(multiplier_ppm=450_000)
    assert parse(headers.policy_in_force(decision)) == [member]


def test_an_uncut_limit_is_in_force_as_the_policy_allots_it() -> None:
    limits = [log(100, window_us=60 * S), bucket(17, burst=250), slots(3), log(5, name="trial", shadow=True)]
    states = [state(limit, 0, effective=limit.burst or limit.quota) for limit in limits]
    assert headers.policy_in_force(decided(*states)) == headers.policy(limits)


def test_an_announced_bucket_never_has_more_left_than_its_quota() -> None:
    limit = bucket(17, burst=250, window_us=60 * S)
    (announced,) = parse(headers.policy([limit]))
    (left,) = parse(headers.rate_limit(decided(state(limit, 0, effective=250))))
    assert left.parameters["r"] == announced.parameters["q"] == 250


@pytest.mark.parametrize(
    ("states", "name"),
    [
        ([state(log(10), 5), state(counter(100), 49)], "minute"),
        ([state(log(10), 5), state(counter(100), 51)], "hour"),
        ([state(log(10), 5), state(counter(10), 5)], "minute"),
        ([state(log(10), 10), state(counter(10), 3, wait_us=1)], "hour"),
        ([state(log(10), 10, wait_us=5), state(counter(10), 10, wait_us=6)], "hour"),
        ([state(log(10), 10, wait_us=5 * S), state(counter(10), 3, wait_us=-1)], "hour"),
        ([state(log(10, shadow=True), 10, wait_us=5 * S), state(counter(10), 0)], "hour"),
        ([state(log(10), 3, effective=4), state(counter(10), 7)], "minute"),
    ],
    ids=[
        "the larger share used",
        "whatever the numbers",
        "the first of equals",
        "one that refuses before one that is full",
        "the longest wait",
        "one that never admits before any wait",
        "never a shadow limit",
        "by the effective limit",
    ],
)
def test_the_headers_give_the_tightest_limit(states: list[LimitState], name: str) -> None:
    assert [member.name for member in parse(headers.rate_limit(decided(*states)))] == [name]


@pytest.mark.parametrize(
    ("seen", "parameters"),
    [
        (state(log(10), 4, reset_us=12 * S), {"r": 6, "t": 12}),
        (state(log(10), 4, reset_us=12 * S + 1), {"r": 6, "t": 13}),
        (state(log(10), 4, reset_us=1), {"r": 6, "t": 1}),
        (state(log(10), 12, effective=7, wait_us=3 * S, reset_us=1 * S), {"r": 0, "t": 1}),
        (state(slots(10), 4, reset_us=0), {"r": 6}),
        (state(slots(10), 10, wait_us=800_000, reset_us=800_000), {"r": 0, "t": 1}),
    ],
)
def test_the_header_has_the_remaining_units_and_their_time(seen: LimitState, parameters: dict[str, Value]) -> None:
    assert parse(headers.rate_limit(decided(seen)))[0].parameters == parameters


def test_a_refused_costly_call_still_learns_what_a_cheaper_one_would_find() -> None:
    assert headers.rate_limit(decided(state(log(10), 8, wait_us=2 * S, reset_us=1 * S))) == '"minute";r=2;t=1'


def test_there_are_no_headers_when_nothing_is_enforced() -> None:
    decision = decided(state(log(10, shadow=True), 10, wait_us=1))
    assert (headers.rate_limit(decision), headers.legacy(decision)) == ("", [])


@pytest.mark.parametrize(
    ("us", "seconds"), [(1, "1"), (999_999, "1"), (1 * S, "1"), (1 * S + 1, "2"), (59_400_000, "60"), (0, "1")]
)
def test_retry_after_is_whole_seconds_never_early_and_at_least_one(us: int, seconds: str) -> None:
    assert headers.retry_after(us) == seconds


def test_the_legacy_triple_says_the_same_of_the_same_limit() -> None:
    decision = decided(state(log(10), 3), state(counter(100), 90, effective=80, wait_us=2 * S, reset_us=1_500_000))
    assert headers.legacy(decision) == [
        ("X-RateLimit-Limit", "80"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", "2"),
    ]


@pytest.mark.parametrize("name", [IN_FLIGHT, CARRIER, PACE, UPSTREAM])
def test_names_that_no_policy_gives_need_no_escaping_either(name: str) -> None:
    assert parse(headers.policy([log(100, name=name)])) == [Member(name, {"q": 100, "w": 10})]


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (1, "1 ms"),
        (24_001, "25 ms"),
        (1 * S, "1 s"),
        (6_400_000, "6.4 s"),
        (6_400_001, "6.5 s"),
        (100 * S + 1, "101 s"),
        (31 * 86_400 * S, "2,678,400 s"),
    ],
)
def test_a_wait_in_prose_is_written_as_people_do_and_never_too_short(us: int, words: str) -> None:
    assert headers.in_prose(us) == words
