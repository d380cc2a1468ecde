"""Seats are counted across workers, and those of a killed worker are free again after a while."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from dashboard.seats import PageSeat, Seats
from limiter.core import keys
from quota_platform.embedded import free_port

ANA, BEN = 7, 8


@pytest.fixture
async def two_workers(redis_url: str) -> AsyncIterator[tuple[Seats, Seats]]:
    pair = tuple(Seats(redis.asyncio.Redis.from_url(redis_url), most=3) for _ in range(2))
    yield pair[0], pair[1]
    for each in pair:
        await each.close()


async def test_a_person_has_so_many_wherever_they_are_taken(two_workers: tuple[Seats, Seats]) -> None:
    one, other = two_workers
    taken = [await one.take(ANA), await other.take(ANA), await one.take(ANA)]
    assert None not in taken
    assert await one.take(ANA) is None
    assert await other.take(ANA) is None
    assert await other.take(BEN) is not None


async def test_a_seat_that_was_given_back_is_free(two_workers: tuple[Seats, Seats]) -> None:
    one, other = two_workers
    taken = [await one.take(ANA) for _ in range(3)]
    assert taken[0] is not None
    await one.leave(taken[0])
    assert await other.take(ANA) is not None
    assert await other.take(ANA) is None


async def test_the_seats_of_a_killed_worker_are_free_when_they_expire(
    two_workers: tuple[Seats, Seats], redis_url: str
) -> None:
    one, other = two_workers
    for _ in range(3):
        await one.take(ANA)
    with redis.Redis.from_url(redis_url) as client:
        names = client.zrange(keys.seats(ANA), 0, -1)
        assert client.pttl(keys.seats(ANA)) > 0
        client.zadd(keys.seats(ANA), {name: int(time.time() * 1000) - 1 for name in names})
    assert await other.take(ANA) is not None


async def test_renewed_seats_stay_taken_also_when_the_store_lost_them(
    two_workers: tuple[Seats, Seats], redis_url: str
) -> None:
    one, other = two_workers
    taken = [seat for seat in [await one.take(ANA) for _ in range(3)] if seat is not None]
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        await one.renew([*taken, PageSeat(BEN, "his")])
        assert client.pttl(keys.seats(ANA)) > 0
    assert await other.take(ANA) is None


async def test_while_the_store_is_unavailable_nobody_is_kept_out() -> None:
    lonely = Seats(redis.asyncio.Redis(port=free_port(), retry=Retry(NoBackoff(), 0)), most=1)
    taken = [await lonely.take(ANA) for _ in range(2)]
    assert None not in taken
    await lonely.renew(seat for seat in taken if seat is not None)
    await lonely.close()
