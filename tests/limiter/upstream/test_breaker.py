"""The breaker opens on a share of failures, lets one probe through, and follows its outcome."""

from __future__ import annotations

import asyncio

import pytest

from limiter.upstream.breaker import Breaker, BreakerState
from limiter.upstream.client import Client
from limiter.upstream.errors import BreakerOpen, OutcomeUnknown
from quota_platform.sandbox import Running
from tests.limiter.upstream.conftest import Connect, HandClock, call_to, connection_to


@pytest.fixture
def breaker(clock: HandClock) -> Breaker:
    """20 % of at least 20 calls in 10 s; open for 10 s."""
    made = Breaker(monotonic=clock.as_clock().monotonic)
    made.configure(connection_to("http://127.0.0.1:8801"))
    return made


def count(breaker: Breaker, *, good: int, failed: int) -> None:
    for _ in range(good):
        breaker.record(failed=False, probe=breaker.admit())
    for _ in range(failed):
        breaker.record(failed=True, probe=breaker.admit())


@pytest.mark.parametrize(
    ("good", "failed", "state"),
    [
        (0, 19, BreakerState.CLOSED),
        (0, 20, BreakerState.OPEN),
        (16, 3, BreakerState.CLOSED),
        (16, 4, BreakerState.OPEN),
        (81, 19, BreakerState.CLOSED),
        (80, 20, BreakerState.OPEN),
    ],
)
def test_it_opens_at_a_fifth_of_at_least_twenty(breaker: Breaker, good: int, failed: int, state: BreakerState) -> None:
    count(breaker, good=good, failed=failed)
    assert breaker.state is state


def test_failures_older_than_the_window_do_not_count(breaker: Breaker, clock: HandClock) -> None:
    count(breaker, good=15, failed=3)
    clock.seconds += 11
    count(breaker, good=15, failed=3)
    assert breaker.state is BreakerState.CLOSED


def test_failures_spread_over_the_window_add_up(breaker: Breaker, clock: HandClock) -> None:
    for _ in range(7):
        count(breaker, good=2, failed=1)
        clock.seconds += 1
    assert breaker.state is BreakerState.OPEN


def test_while_open_it_says_how_long(breaker: Breaker, clock: HandClock) -> None:
    count(breaker, good=0, failed=20)
    clock.seconds += 4

    with pytest.raises(BreakerOpen) as caught:
        breaker.admit()

    assert (caught.value.status, caught.value.retry_after_us) == (503, 6_000_000)


def test_after_the_cool_down_one_call_is_the_probe(breaker: Breaker, clock: HandClock) -> None:
    count(breaker, good=0, failed=20)
    clock.seconds += 10

    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.admit()
    with pytest.raises(BreakerOpen):
        breaker.admit()


@pytest.mark.parametrize(("failed", "state"), [(True, BreakerState.OPEN), (False, BreakerState.CLOSED)])
def test_the_probe_decides(breaker: Breaker, clock: HandClock, failed: bool, state: BreakerState) -> None:
    count(breaker, good=0, failed=20)
    clock.seconds += 10

    breaker.record(failed=failed, probe=breaker.admit())

    assert breaker.state is state


def test_outcomes_before_it_opened_are_forgotten_when_it_closes(breaker: Breaker, clock: HandClock) -> None:
    count(breaker, good=0, failed=20)
    clock.seconds += 10
    count(breaker, good=1, failed=19)
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_without_a_verdict_leaves_the_place_to_the_next(breaker: Breaker, clock: HandClock) -> None:
    count(breaker, good=0, failed=20)
    clock.seconds += 10
    breaker.admit()

    breaker.abandon()

    assert breaker.admit()


def test_calls_under_way_when_it_opened_change_nothing(breaker: Breaker) -> None:
    count(breaker, good=0, failed=20)
    breaker.record(failed=False, probe=False)
    assert breaker.state is BreakerState.OPEN


def test_a_connection_can_do_without(clock: HandClock) -> None:
    breaker = Breaker(monotonic=clock.as_clock().monotonic)
    breaker.configure(connection_to("http://127.0.0.1:8801", breaker_failure_percent=0))
    count(breaker, good=0, failed=100)
    assert breaker.state is BreakerState.CLOSED


async def test_a_failing_upstream_is_left_alone_and_found_again(
    sandbox: Running, client: Client, connect: Connect, clock: HandClock
) -> None:
    connection = connect()
    sandbox.state.faults.add({"fault": "500"})
    for _ in range(20):
        assert (await client.invoke(call_to(connection))).status == 500
    before = sandbox.state.log.last_seq

    for _ in range(5):
        with pytest.raises(BreakerOpen):
            await client.invoke(call_to(connection))
    assert sandbox.state.log.last_seq == before
    assert client.units()[connection.uid].breaker is BreakerState.OPEN

    clock.seconds += 10
    assert (await client.invoke(call_to(connection))).status == 500
    with pytest.raises(BreakerOpen):
        await client.invoke(call_to(connection))

    sandbox.state.faults.clear()
    clock.seconds += 10
    assert (await client.invoke(call_to(connection))).status == 200
    assert client.units()[connection.uid].breaker is BreakerState.CLOSED


async def test_a_breaker_that_opens_ends_the_repeats(
    sandbox: Running, client: Client, connect: Connect, clock: HandClock
) -> None:
    connection = connect(breaker_min_calls=2)
    await client.invoke(call_to(connection))
    sandbox.state.faults.add({"fault": "503", "headers": {"Retry-After": "1"}})

    with pytest.raises(Exception, match="refused the call for load"):
        await client.invoke(call_to(connection))

    assert len(sandbox.state.log.entries(endpoint="webaction")) == 2
    assert clock.slept == []


async def test_a_probe_whose_caller_leaves_does_not_block_the_next(
    sandbox: Running, client: Client, connect: Connect, clock: HandClock
) -> None:
    connection = connect(breaker_min_calls=1)
    sandbox.state.faults.add({"fault": "reset_before_headers", "count": 1})
    with pytest.raises(OutcomeUnknown):
        await client.invoke(call_to(connection))
    clock.seconds += 10
    sandbox.state.faults.add({"fault": "stall", "count": 1})
    before = sandbox.state.log.last_seq
    probe = asyncio.ensure_future(client.invoke(call_to(connection)))
    await sandbox.state.log.reached(before + 1)

    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe

    assert (await client.invoke(call_to(connection))).status == 200
    assert client.units()[connection.uid].breaker is BreakerState.CLOSED


async def test_too_many_requests_is_no_failure(sandbox: Running, client: Client, connect: Connect) -> None:
    connection = connect(max_retries=0)
    sandbox.state.faults.add({"fault": "429", "count": 30})

    for _ in range(30):
        with pytest.raises(Exception, match="refused the call for load"):
            await client.invoke(call_to(connection))

    assert client.units()[connection.uid].breaker is BreakerState.CLOSED
