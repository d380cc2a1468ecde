"""The script's arguments and how its response is read, without a store."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest

from limiter.core.types import Decision, LimitState
from limiter.core.window import Call, pack, read, retry_after
from tests.limiter.core.given import ACME, S, bucket, counter, log, slots, stack


def words(packed: bytes) -> list[bytes]:
    """A command as the store reads it; fails on a wrong length."""
    wire = BytesIO(packed)
    count = int(wire.readline().removeprefix(b"*"))
    found = []
    for _ in range(count):
        length = int(wire.readline().removeprefix(b"$"))
        found.append(wire.read(length))
        assert wire.read(2) == b"\r\n"
    assert wire.read() == b""
    return found


def test_a_call_is_packed_as_the_script_reads_it() -> None:
    bound = stack(
        log(100, policy_name="Gold", policy_version=7), slots(5, shadow=True, adaptive=False), default_ppm=10**6
    )
    packed = pack(bound, Call("01J", cost=3, context="kp|réq", now_us=5), verb=b"EVALSHA", script=b"digest")
    data = words(packed)
    assert data.pop(17) == (
        struct.pack("<cQQQQB", b"l", 100, 10_000_000, 0, 0, 2) + struct.pack("<cQQQQB", b"c", 5, 0, 0, 30_000_000, 1)
    )
    assert [word.decode() for word in data] == [
        *("EVALSHA", "digest", "10"),
        *("q:{c1}:m:acme", "q:{c1}:events", "q:{c1}:usage", "q:{c1}:totals", "q:{c1}:floods", "q:{c1}:pause"),
        *("q:{c1}:in-flight", "q:{c1}:pace"),
        *("q:{c1}:w:minute:l:a:acme:lookupOrder", "q:{c1}:w:inflight:c:a:acme:lookupOrder"),
        *("1000000", "acme", "lookupOrder"),
        "minute|Gold|7|sliding_log|action|100|10000000|0|0|1;inflight||0|concurrency|action|5|0|0|1|0",
        *("5", "3", "1", "01J", "kp|réq"),
    ]


def test_a_peek_without_a_clock_says_so() -> None:
    packed = pack(stack(log(1)), Call("01J", charge=False), verb=b"EVALSHA", script=b"digest")
    assert words(packed)[-5:] == [b"", b"1", b"0", b"01J", b""]


def test_a_decision_is_read_limit_by_limit() -> None:
    bound = stack(log(10), slots(5))
    decision = read(bound, Call("01J", cost=2), [7, 800_000, 1, 3, 8, 0, 5 * S, 1, 4, 0, 0])
    assert decision == Decision(
        allowed=True,
        decision_id="01J",
        at_us=7,
        cost=2,
        multiplier_ppm=800_000,
        states=(LimitState(log(10), 3, 8, 0, 5 * S), LimitState(slots(5), 1, 4, 0, 0)),
        leases=("q:{c1}:w:inflight:c:a:acme:lookupOrder",),
    )
    assert [state.remaining for state in decision.states] == [5, 3]


def test_a_refused_call_holds_no_lease() -> None:
    decision = read(stack(slots(1)), Call("01J"), [7, 10**6, 0, 1, 1, 9, 9])
    assert (decision.allowed, decision.leases, decision.retry_after_us) == (False, (), 9)


def test_units_counted_above_a_lowered_limit_leave_nothing() -> None:
    assert LimitState(log(10), used=10, effective=4, wait_us=1, reset_us=1).remaining == 0


@pytest.mark.parametrize(
    ("waits", "wait"), [((0, 0), 0), ((3, 0), 3), ((3, 9), 9), ((-1, 9), None), ((9, -1), None), ((), 0)]
)
def test_the_wait_of_a_stack_is_the_latest_and_none_when_none_helps(waits: tuple[int, ...], wait: int | None) -> None:
    assert retry_after([LimitState(log(1), 1, 1, wait_us, 0) for wait_us in waits]) == wait


def test_shadow_limits_make_nobody_wait() -> None:
    assert retry_after([LimitState(log(1, shadow=True), 1, 1, 9, 0), LimitState(counter(1), 1, 1, 4, 0)]) == 4
    assert retry_after([LimitState(log(1, shadow=True), 1, 1, -1, 0)]) == 0


def test_only_concurrency_limits_hold_slots() -> None:
    assert stack(log(1), counter(1), bucket(1, burst=1)).holds_slots is False
    assert stack(log(1), slots(1)).holds_slots is True
    assert stack(log(1)).subject == ACME
