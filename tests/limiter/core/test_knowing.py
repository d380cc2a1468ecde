"""What a sender that knows the limit can use of it: the measure of a learned pace."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.limiter.core.hidden_unit import Bucket, Fixed, Hidden, InFlight, Sliding
from tests.limiter.core.knowing import Offer, UnderWay, Window, best_use, sent_by

UNITS: dict[str, Callable[[], Hidden]] = {
    "bucket": lambda: Bucket(60),
    "one call at a time": lambda: Bucket(60, burst=1, level=1),
    "sliding window": lambda: Sliding(60),
    "short sliding window": lambda: Sliding(60, seconds=10),
    "fixed window": lambda: Fixed(60, seconds=10),
    "calls in flight": lambda: InFlight(300),
}


def erlang_loss(servers: int, offered: float) -> float:
    """The share of calls that find all servers busy and leave."""
    loss = 1.0
    for busy in range(1, servers + 1):
        loss = offered * loss / (busy + offered * loss)
    return loss


@pytest.mark.parametrize(("at_once", "least"), [(1, 0.71), (5, 0.90)])
def test_callers_who_leave_use_as_much_of_calls_in_flight_as_erlang_found(at_once: int, least: float) -> None:
    """A sender that knows how long each call lasts, without jitter, loses what nobody can use."""
    per_second = 2.5 * at_once
    expected = per_second * (1 - erlang_loss(at_once, per_second)) / at_once
    offer = Offer(per_second, seconds=4000, varies=0)
    seen = sent_by(Window(at_once, 1), InFlight(60 * at_once), offer, random.Random(1))
    assert not seen.turned_away
    assert len(seen.ran) / (at_once * offer.seconds) == pytest.approx(expected, abs=0.02)
    assert expected >= least


def test_a_sender_that_counts_by_responses_is_behind_by_the_way_there_and_back() -> None:
    offer = Offer(50, seconds=1000, waits_s=5, varies=0)
    seen = sent_by(UnderWay(5), InFlight(300), offer, random.Random(1))
    assert not seen.turned_away
    assert len(seen.ran) / (5 * offer.seconds) == pytest.approx(1 / 1.1, abs=0.01)


@pytest.mark.parametrize("flavour", UNITS)
def test_a_sender_that_knows_the_limit_uses_nearly_all_of_it_if_calls_wait(flavour: str) -> None:
    assert (
        best_use(UNITS[flavour], Offer(2.5 * UNITS[flavour]().per_minute / 60, waits_s=2), seeds=[1], since=120) >= 0.95
    )


@pytest.mark.parametrize(("flavour", "most"), [("one call at a time", 0.75), ("short sliding window", 0.98)])
def test_of_a_window_of_few_calls_nobody_uses_all_if_callers_leave(flavour: str, most: float) -> None:
    assert best_use(UNITS[flavour], Offer(2.5), seeds=[1, 2], since=120) <= most
