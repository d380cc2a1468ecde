"""One load at a time for each thing, in threads that leave no connection behind."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.db import connection
from django.db.backends.signals import connection_created

from dashboard.flights import Flights, TooManyFlights
from limiter.live.queries import Aside


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


@pytest.mark.django_db(transaction=True)
async def test_the_database_is_reached_in_threads_that_are_gone_afterwards() -> None:
    opened = []

    def note(connection: object, **_: object) -> None:
        opened.append(connection)

    def ask() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return threading.current_thread().name

    connection_created.connect(note)
    try:
        aside = Aside(2, name="test-aside")
        names = await asyncio.gather(*(aside.run(ask) for _ in range(4)))
        await aside.close()
    finally:
        connection_created.disconnect(note)
    assert {name.rsplit("_", 1)[0] for name in names} == {"test-aside"}
    assert opened and all(each.connection is None for each in opened)  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-aside")]
