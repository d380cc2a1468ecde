"""Names that are asked for at the same time are loaded together, each once, however many wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from limiter.live.batches import Batches, TooManyWaiting


class Load:
    """Loads that land when the test says so; ``asked``: the names of each."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.land = asyncio.Event()
        self.fault: Exception | None = None

    async def __call__(self, names: Sequence[str]) -> dict[str, str]:
        self.asked.append(list(names))
        await self.land.wait()
        if self.fault is not None:
            raise self.fault
        return {name: name.upper() for name in names}


@pytest.fixture
def load() -> Load:
    return Load()


def batches(load: Load, *, size: int = 10, most: int = 100) -> Batches[str, str]:
    return Batches(load, size=size, most=most, every_s=0.001)


def asking(of: Batches[str, str], *names: str) -> list[asyncio.Future[str]]:
    return [asyncio.ensure_future(of.join(name)) for name in names]


async def test_names_asked_for_in_one_turn_are_loaded_together_and_each_once(load: Load) -> None:
    load.land.set()
    ours = batches(load)
    assert await asyncio.gather(*asking(ours, "a", "b", "a", "c")) == ["A", "B", "A", "C"]
    assert load.asked == [["a", "b", "c"]]


async def test_names_asked_for_during_a_load_gather_for_the_next(load: Load) -> None:
    ours = batches(load, size=2)
    first = asking(ours, "a")
    while not load.asked:
        await asyncio.sleep(0)
    later = asking(ours, "b", "c", "d", "a")
    load.land.set()
    assert await asyncio.gather(*first, *later) == ["A", "B", "C", "D", "A"]
    assert load.asked == [["a"], ["b", "c"], ["d"]]
    assert len(ours) == 0


async def test_all_in_a_load_hear_of_its_failure_and_the_next_one_may_succeed(load: Load) -> None:
    load.land.set()
    load.fault = LookupError("away")
    ours = batches(load)
    outcomes = await asyncio.gather(*asking(ours, "a", "b"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError, LookupError]
    load.fault = None
    assert await ours.join("a") == "A"


async def test_one_that_gives_up_does_not_stop_the_load_for_the_others(load: Load) -> None:
    ours = batches(load)
    hasty, patient = asking(ours, "a", "a")
    while not load.asked:
        await asyncio.sleep(0)
    hasty.cancel()
    load.land.set()
    assert await patient == "A"


async def test_the_number_of_waiting_names_is_bounded(load: Load) -> None:
    ours = batches(load, most=2)
    waiting = asking(ours, "a", "b")
    while len(ours) < 2:
        await asyncio.sleep(0)
    with pytest.raises(TooManyWaiting):
        await ours.join("c")
    await ours.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert len(ours) == 0


async def test_closing_before_a_load_has_begun_leaves_nobody_waiting(load: Load) -> None:
    ours = batches(load)
    (waiting,) = asking(ours, "a")
    while not len(ours):
        await asyncio.sleep(0)
    await ours.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert load.asked == []
