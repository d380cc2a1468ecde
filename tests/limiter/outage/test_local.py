"""Decisions without the store: each worker's share, which all workers together never exceed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.core.peers import Peers
from limiter.core.types import Decision, Limit
from limiter.core.window import Call, bind
from limiter.outage.local import LocalShare
from tests.limiter.core.given import ACME, T0, S, bucket, counter, log, slots, stack


@dataclass
class Clock:
    """A clock that is set by hand, in microseconds after T0."""

    at_us: int = 0

    def __call__(self) -> int:
        return T0 + self.at_us


@dataclass
class Worker:
    """One worker that has lost the store."""

    clock: Clock
    share: LocalShare

    def call(self, *limits: Limit, at_us: int = 0, cost: int = 1, lease: str = "d", peek: bool = False) -> Decision:
        self.clock.at_us = at_us
        return self.share.decide(stack(*limits), Call(lease, cost=cost, charge=not peek))


@pytest.fixture
def worker() -> Worker:
    """One of two."""
    clock = Clock()
    return Worker(clock, LocalShare(Peers(expected=2), clock=clock))


@pytest.mark.parametrize("limit", [log(7), counter(7), bucket(7, burst=7), slots(7)], ids=lambda li: str(li.algorithm))
def test_a_worker_admits_its_share_and_no_more(worker: Worker, limit: Limit) -> None:
    decisions = [worker.call(limit, lease=f"d{number}") for number in range(5)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False, False]
    assert [decision.states[0].used for decision in decisions] == [1, 2, 3, 3, 3]
    assert all(decision.degraded for decision in decisions)
    assert decisions[-1].states[0].effective == 3


def test_a_share_is_at_least_one(worker: Worker) -> None:
    assert worker.call(log(1)).allowed
    assert not worker.call(log(1)).allowed


def test_a_call_refused_by_one_limit_is_charged_to_none(worker: Worker) -> None:
    worker.call(log(2, name="tight"))
    assert not worker.call(log(20), log(2, name="tight"), slots(20)).allowed
    after = worker.call(log(20), slots(20), peek=True)
    assert [state.used for state in after.states] == [0, 0]


def test_a_peek_charges_nothing(worker: Worker) -> None:
    assert [worker.call(log(2), peek=True).states[0].used for _ in range(3)] == [0, 0, 0]


def test_a_shadow_limit_refuses_nothing_and_counts_only_what_it_would_admit(worker: Worker) -> None:
    trial = log(4, name="trial", shadow=True)
    decisions = [worker.call(log(20), trial) for _ in range(5)]
    assert all(decision.allowed for decision in decisions)
    assert [decision.states[1].used for decision in decisions] == [1, 2, 2, 2, 2]
    assert [len(decision.shadow_violated) for decision in decisions] == [0, 0, 1, 1, 1]


def test_a_cost_is_counted_in_full_and_one_above_the_share_can_never_pass(worker: Worker) -> None:
    assert worker.call(log(10), cost=3).states[0].used == 3
    assert not worker.call(log(10), cost=3).allowed
    assert worker.call(log(10), cost=2).states[0].used == 5
    assert worker.call(log(10), cost=6).retry_after_us is None


def test_the_wait_is_kept_to_the_microsecond(worker: Worker) -> None:
    limit = log(4, window_us=60 * S)  # slices of a second
    worker.call(limit, at_us=0)
    worker.call(limit, at_us=5 * S)
    assert worker.call(limit, at_us=7 * S).retry_after_us == 54 * S
    assert worker.call(limit, at_us=7 * S, cost=2).retry_after_us == 59 * S
    assert not worker.call(limit, at_us=61 * S - 1).allowed
    assert worker.call(limit, at_us=61 * S).allowed


def test_a_released_slot_is_free_and_a_lease_ends_by_itself(worker: Worker) -> None:
    limit = slots(2, lease_us=10 * S)
    worker.call(limit, lease="one")
    assert not worker.call(limit, lease="two").allowed
    worker.share.release(stack(limit), "a stranger's")
    assert not worker.call(limit, lease="two").allowed
    worker.share.release(stack(limit), "one")
    assert worker.call(limit, lease="two").allowed
    assert not worker.call(limit, at_us=10 * S - 1, lease="three").allowed
    assert worker.call(limit, at_us=10 * S, lease="three").allowed


def test_releasing_an_unknown_slot_does_nothing(worker: Worker) -> None:
    worker.share.release(stack(slots(2)), "one")
    assert worker.call(slots(2)).allowed


def test_an_edited_window_neither_locks_a_caller_out_nor_lets_it_start_again(worker: Worker) -> None:
    worker.call(log(2, window_us=60 * S), at_us=0)
    longer = log(2, window_us=3600 * S)
    assert worker.call(longer, at_us=0).retry_after_us == 3601 * S
    assert worker.call(longer, at_us=3601 * S).allowed
    assert not worker.call(log(2, window_us=60 * S), at_us=3602 * S).allowed
    assert worker.call(log(2, window_us=60 * S), at_us=3720 * S).allowed


def test_a_clock_that_steps_back_admits_no_more(worker: Worker) -> None:
    limit = log(4, window_us=60 * S)
    assert worker.call(limit, at_us=100 * S).allowed
    assert worker.call(limit, at_us=50 * S).allowed
    assert not worker.call(limit, at_us=50 * S).allowed
    assert not worker.call(limit, at_us=159 * S).allowed


def test_strangers_have_shares_of_their_own(worker: Worker) -> None:
    globex = bind([log(2)], subject=replace(ACME, tenant="globex"))
    assert worker.call(log(2)).allowed
    assert worker.share.decide(globex, Call("d")).allowed


def test_a_store_that_comes_and_goes_gives_no_second_share(worker: Worker) -> None:
    worker.call(log(2, window_us=60 * S), slots(2, lease_us=100 * S), lease="one")
    worker.share.forget()
    assert not worker.call(log(2, window_us=60 * S), at_us=61 * S - 1).allowed
    assert not worker.call(slots(2, lease_us=100 * S), at_us=61 * S - 1).allowed


def test_counts_that_have_run_out_are_dropped(worker: Worker) -> None:
    worker.call(log(2, window_us=60 * S), slots(2, lease_us=100 * S), lease="one")
    worker.call(slots(2, name="peeked"), peek=True)
    for at_us, held in ((99 * S, 2), (100 * S, 0)):
        worker.clock.at_us = at_us
        worker.share.forget()
        assert worker.share.held == held


@given(
    algorithm=st.sampled_from(["sliding_log", "sliding_counter", "token_bucket"]),
    workers=st.integers(1, 4),
    quota=st.integers(4, 12),
    crowd=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9 * S), st.integers(1, 3)), min_size=20, max_size=100),
)
@settings(derandomize=True, deadline=None, database=None)
def test_all_workers_together_stay_within_the_limit_in_any_window(
    algorithm: str, workers: int, quota: int, crowd: list[tuple[int, int, int]]
) -> None:
    limit = Limit("a", algorithm, quota, 30 * S, burst=quota)
    clock = Clock()
    crew = [Worker(clock, LocalShare(Peers(expected=workers), clock=clock)) for _ in range(workers)]
    admitted: list[tuple[int, int]] = []
    now = 0
    for which, after_us, cost in crowd:
        now += after_us
        if crew[which % workers].call(limit, at_us=now, cost=cost).allowed:
            admitted.append((now, cost))
    for end, _ in admitted:
        assert sum(cost for at, cost in admitted if end - 30 * S < at <= end) <= quota
