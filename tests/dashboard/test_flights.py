"""One load at a time for each thing, in threads that leave no connection behind."""

from __future__ import annotations

import asyncio

import pytest

from dashboard.flights import Flights, TooManyFlights


class Load:
    """A load that lands when the test says so."""

    def __init__(self) -> None:
        self.starts = 0
        self.land = asyncio.Event()

    async def __call__(self) -> int:
        self.starts += 1
        await self.land.wait()
        return self.starts


async def test_all_who_ask_wait_for_the_same_load_and_the_next_one_starts_anew() -> None:
    flights, load = Flights(most=9), Load()
    waiting = [asyncio.ensure_future(flights.join("acme", load)) for _ in range(5)]
    await asyncio.sleep(0)
    load.land.set()
    assert await asyncio.gather(*waiting) == [1] * 5
    assert await flights.join("acme", load) == 2


async def test_all_hear_of_its_failure_and_the_next_one_may_succeed() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("away")

    flights, load = Flights(most=9), Load()
    load.land.set()
    outcomes = await asyncio.gather(*(flights.join("acme", fail) for _ in range(2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError, LookupError]
    assert await flights.join("acme", load) == 1


async def test_the_number_of_loads_under_way_is_bounded() -> None:
    flights, load = Flights(most=1), Load()
    waiting = asyncio.ensure_future(flights.join("acme", load))
    await asyncio.sleep(0)
    with pytest.raises(TooManyFlights):
        await flights.join("globex", load)
    await flights.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(flights) == 0
