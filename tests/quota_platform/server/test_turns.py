"""A few at once, the others after them, and nobody is held up for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from quota_platform.server.turns import Turns
from tests.patience import HANG_S


class Pages:
    """Each goes on until it is let go."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.running: set[int] = set()
        self.go = asyncio.Event()

    async def page(self, number: int) -> None:
        async with self._turns.turn():
            self.running.add(number)
            await self.go.wait()
            self.running.discard(number)


async def settled() -> None:
    """Everything that is ready has run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_two_run_at_once_and_the_third_when_one_has_ended() -> None:
    pages = Pages(Turns(2, turn_s=HANG_S))
    tasks = [asyncio.create_task(pages.page(number)) for number in range(3)]
    await settled()
    assert pages.running == {0, 1}
    pages.go.set()
    await asyncio.gather(*tasks)
    assert not pages.running


class Ends:
    """The ends of turns, each when the test says so."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def later(self, _: float, ends: Callable[[], None]) -> asyncio.Handle:
        self.due.append(ends)
        return asyncio.Handle(ends, (), asyncio.get_running_loop())


async def test_a_page_that_hangs_holds_up_the_next_for_a_turn_only() -> None:
    ends = Ends()
    pages = Pages(Turns(1, turn_s=1, later=ends.later))
    tasks = [asyncio.create_task(pages.page(number)) for number in range(3)]
    await settled()
    assert pages.running == {0}
    ends.due[0]()
    await settled()
    assert pages.running == {0, 1}
    pages.go.set()
    await asyncio.gather(*tasks)


async def test_a_page_that_ends_after_its_turn_leaves_no_second_place() -> None:
    ends = Ends()
    turns = Turns(1, turn_s=1, later=ends.later)
    async with turns.turn():
        ends.due[0]()
    pages = Pages(turns)
    tasks = [asyncio.create_task(pages.page(number)) for number in range(2)]
    await settled()
    assert pages.running == {0}
    pages.go.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("ends", ["while it waits", "while it runs"])
async def test_a_page_whose_reader_has_left_leaves_its_place_to_the_next(ends: str) -> None:
    pages = Pages(Turns(1, turn_s=HANG_S))
    tasks = [asyncio.create_task(pages.page(number)) for number in range(3)]
    await settled()
    left = tasks.pop(0 if ends == "while it runs" else 1)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    pages.go.set()
    await asyncio.wait_for(asyncio.gather(*tasks), HANG_S)
