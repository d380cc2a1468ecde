"""When demand was counted at all: by any worker, also while the store was unavailable, and never twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from limiter.core import keys
from limiter.demand import coverage, keeping, rollup
from limiter.demand.coverage import JOINED_S, Coverage, Covered
from limiter.demand.models import RecordedSpan
from limiter.record.scripts import Client
from tests.chaos import ChaosProxy
from tests.limiter.core.given import store_at
from tests.patience import eventually

MINUTE = 1_790_000_000 // 60 * 60


def seconds(client: Client) -> list[int]:
    found: Any = client.zrange(keys.recorded(), 0, -1)
    return sorted(map(int, found))


def counted(client: Client, *found: int) -> None:
    client.zadd(keys.recorded(), {str(each): each for each in found})


def rows() -> list[Covered]:
    found = RecordedSpan.objects.order_by("start")
    return [Covered(int(row.start.timestamp()), int(row.end.timestamp())) for row in found]


async def test_a_worker_notes_each_second_once_by_the_clock_of_the_store(redis_url: str, client: Client) -> None:
    clock = iter([7.0, 7.5, 8.1])  # of its own, which began with the machine
    store = store_at(redis_url)
    worker = Coverage(store, clock=lambda: next(clock))
    began = int(time.time())
    for _ in range(3):
        await worker.send()
    found = seconds(client)
    assert 1 <= len(found) <= 2 and began <= found[0] <= found[-1] <= time.time()
    await store.close()


async def test_the_seconds_without_a_store_are_noted_when_it_is_back(redis_url: str, client: Client) -> None:
    now = 100.0
    async with ChaosProxy.before(urlsplit(redis_url).port or 6379) as proxy:
        store = store_at(proxy.url)
        worker = Coverage(store, clock=lambda: now)

        async def a_second_later() -> bool:
            nonlocal now
            now += 1
            await worker.send()
            return len(seconds(client)) > 3

        await worker.send()
        await proxy.refuse()
        for _ in range(3):
            assert not await a_second_later()
        await proxy.accept()
        await eventually(a_second_later, what="the store to have the seconds that it missed")
        await store.close()


def test_seconds_become_spans_and_short_gaps_are_none() -> None:
    found = [1, 2, 3, 3 + JOINED_S, 20, 21]
    assert coverage.joined(found) == [Covered(1, 4 + JOINED_S), Covered(20, 22)]
    assert coverage.joined([]) == []
    assert coverage.together([Covered(1, 4), Covered(30, 40)], [Covered(3, 9), Covered(60, 61)]) == [
        Covered(1, 9),
        Covered(30, 40),
        Covered(60, 61),
    ]


@pytest.mark.django_db
def test_minutes_that_are_over_become_one_row_until_nobody_counted(client: Client) -> None:
    counted(client, *range(MINUTE - 60, MINUTE), *range(MINUTE + 20, MINUTE + 90))
    keeping.store_all(client, now_s=MINUTE + 66)
    assert rows() == [Covered(MINUTE - 60, MINUTE), Covered(MINUTE + 20, MINUTE + 60)]
    assert seconds(client) == list(range(MINUTE + 60, MINUTE + 90))
    keeping.store_all(client, now_s=MINUTE + 126)
    assert rows() == [Covered(MINUTE - 60, MINUTE), Covered(MINUTE + 20, MINUTE + 90)]


@pytest.mark.django_db
def test_what_comes_late_or_twice_closes_the_gap_once(client: Client) -> None:
    for found in ([*range(MINUTE, MINUTE + 10)], [*range(MINUTE + 30, MINUTE + 40)]) * 2:
        counted(client, *found)
        coverage.keep(client, before=MINUTE + 60)
    assert rows() == [Covered(MINUTE, MINUTE + 10), Covered(MINUTE + 30, MINUTE + 40)]
    counted(client, *range(MINUTE + 8, MINUTE + 32))
    coverage.keep(client, before=MINUTE + 60)
    assert rows() == [Covered(MINUTE, MINUTE + 40)]
    assert coverage.between(MINUTE + 50, MINUTE + 60) == (MINUTE, [])
    assert coverage.between(MINUTE + 39, MINUTE + 60) == (MINUTE, [Covered(MINUTE, MINUTE + 40)])


@pytest.mark.django_db
def test_spans_are_deleted_with_the_demand_of_their_time() -> None:
    now = datetime.now(UTC)
    for age in (401, 2):
        RecordedSpan.objects.create(start=now - timedelta(days=age + 1), end=now - timedelta(days=age))
    assert rollup.prune(now=now) == 1
    assert RecordedSpan.objects.get().end == now - timedelta(days=2)
