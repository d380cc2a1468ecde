"""A response that is late is found late, whatever came on the connection before."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from limiter.upstream.due import Alarm


class Loop:
    """A loop whose time and timers the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any, Loop.Handle]] = []

    class Handle:
        cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Any) -> Loop.Handle:
        self.timers.append((when, call, Loop.Handle()))
        return self.timers[-1][2]

    def until(self, now: float) -> None:
        while due := sorted((t for t in self.timers if t[0] <= now and not t[2].cancelled), key=lambda t: t[0]):
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][1]()
        self.now = now


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def late(loop: Loop) -> list[float]:
    return []


@pytest.fixture
def due(loop: Loop, late: list[float]) -> Alarm:
    return Alarm(loop, late=lambda: late.append(loop.now))  # type: ignore[arg-type]


def test_a_thousand_responses_in_time_take_one_timer(due: Alarm, loop: Loop, late: list[float]) -> None:
    for _ in range(1000):
        due.set(30)
        due.clear()
    assert len(loop.timers) == 1
    loop.until(math.inf)
    assert late == []


def test_a_response_is_late_at_its_own_time_and_not_at_that_of_one_before(
    due: Alarm, loop: Loop, late: list[float]
) -> None:
    due.set(30)
    due.clear()
    loop.until(120)
    due.set(30)
    loop.until(1000)
    assert late == [150]


def test_a_shorter_time_is_not_missed_behind_a_longer_one(due: Alarm, loop: Loop, late: list[float]) -> None:
    due.set(300)
    due.clear()
    due.set(1)
    loop.until(1000)
    assert late == [101]


def test_a_connection_that_has_ended_leaves_no_timer(due: Alarm, loop: Loop, late: list[float]) -> None:
    due.set(30)
    due.cancel()
    assert all(handle.cancelled for _, _, handle in loop.timers)


async def test_it_runs_on_the_loop_of_the_process() -> None:
    late = asyncio.Event()
    Alarm(asyncio.get_running_loop(), late=late.set).set(0)
    await late.wait()
