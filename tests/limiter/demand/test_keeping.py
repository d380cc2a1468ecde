"""Demand from the store into rows, and into smaller ones as it gets older: nothing twice, nothing left out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from limiter.core import keys
from limiter.demand import blocks, keeping, rollup, series
from limiter.demand.models import DemandBlock
from limiter.demand.models.block import HOUR_S, MINUTE_S
from limiter.demand.points import Calls, Demand, Level
from limiter.record import batches, turn
from limiter.record.scripts import Client
from tests.limiter.core.given import store_at
from tests.limiter.demand.given import LOOK_UP, SECOND, a_minute, a_worker, busy

pytestmark = pytest.mark.django_db
MINUTE = SECOND // 60
OVER = (MINUTE + 2) * 60
HOUR = SECOND // HOUR_S * HOUR_S
LATER = datetime.fromtimestamp(HOUR + 2 * HOUR_S, UTC)


@pytest.fixture
def _called(client: Client, redis_url: str) -> None:
    """A worker has counted three calls of Acme's, and the store has them."""
    client.sadd(keys.connections(), 1)
    count(redis_url)


def count(redis_url: str, *, second: int = SECOND) -> None:
    async def send() -> None:
        store = store_at(redis_url)
        await a_worker(store, second=second).send()
        await store.close()

    asyncio.run(send())


def rows() -> list[tuple[int, int, int]]:
    """Start, seconds and step of each row, oldest first."""
    found = DemandBlock.objects.order_by("start", "seconds")
    return [(int(row.start.timestamp()), row.seconds, row.step) for row in found]


@pytest.mark.usefixtures("_called")
def test_a_minute_becomes_a_row_once_it_is_over(client: Client) -> None:
    assert keeping.store_all(client, now_s=(MINUTE + 1) * 60) == 0  # workers may not have sent all of it
    assert keeping.store_all(client, now_s=OVER) == 1
    assert rows() == [(MINUTE * 60, MINUTE_S, 1)]
    found = series.between("acme", SECOND, SECOND + 60)
    assert found.calls == {LOOK_UP: {SECOND: Calls(allowed=3, units=3)}}
    assert found.limits == {("lookupOrder", "minute"): {SECOND: Level(3, 100, 100)}}
    assert not client.keys("*demand") and not client.keys(f"*demand:{MINUTE}*")


@pytest.mark.usefixtures("_called")
def test_what_comes_late_is_added_to_the_minute(client: Client, redis_url: str) -> None:
    keeping.store_all(client, now_s=OVER)
    for second in (SECOND, SECOND + 1):
        count(redis_url, second=second)
    keeping.store_all(client, now_s=OVER)
    assert series.between("acme", SECOND, OVER).calls[LOOK_UP] == {
        SECOND: Calls(allowed=6, units=6),
        SECOND + 1: Calls(allowed=3, units=3),
    }


@pytest.mark.usefixtures("_called")
def test_one_who_died_after_the_commit_has_his_batch_stored_once(client: Client, redis_url: str) -> None:
    name = keys.demand_of(1, MINUTE)
    batch = batches.take(client, name)
    assert batch is not None and keeping.store(batch.name, keeping.read(batch.counts), minute=MINUTE)
    count(redis_url)  # meanwhile calls go on
    assert keeping.store_all(client, now_s=OVER) == 1
    assert series.between("acme", SECOND, OVER).calls[LOOK_UP][SECOND].allowed == 6


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_called")
def test_a_row_of_a_newer_release_is_left_to_it_and_the_demand_waits(client: Client, redis_url: str) -> None:
    DemandBlock.objects.create(tenant_id="acme", start=blocks.moment(MINUTE * 60), data=b"\x63\x00")
    count(redis_url, second=SECOND + 60)
    with pytest.raises(ValueError, match="version 99"):
        keeping.store_all(client, now_s=OVER + 60)
    assert client.exists(keys.taken(keys.demand_of(1, MINUTE)))
    assert [bytes(row.data)[0] for row in DemandBlock.objects.order_by("start")] == [99, 1]
    assert rollup.pack_hours(now=LATER) == 0  # the hour is left to it
    assert list(series.between("acme", SECOND, OVER + 60).calls[LOOK_UP]) == [SECOND + 60]


def keep(demand: Demand, *, tenant: str = "acme") -> None:
    """As rows by the minute."""
    with turn.taken(blocks.TURN):
        seconds = [second for _, second, _ in demand.each_calls()]
        for start in range(min(seconds) // 60 * 60, max(seconds) + 1, 60):
            part = demand.between(start, start + 60)
            if part:
                blocks.add(start, MINUTE_S, {tenant: part})


def test_minutes_become_an_hour_and_later_ones_are_added_to_it() -> None:
    demand = busy(2, 300, start=HOUR + 60)
    keep(demand)
    assert rollup.pack_hours(now=datetime.fromtimestamp(HOUR + HOUR_S, UTC)) == 0  # some of it may come late
    assert rollup.pack_hours(now=LATER) == 5
    assert rows() == [(HOUR, HOUR_S, 1)]
    assert series.between("acme", HOUR, HOUR + HOUR_S) == demand
    keep(a_minute())
    everything = series.between("acme", HOUR, HOUR + HOUR_S)
    rollup.pack_hours(now=LATER)
    assert rows() == [(HOUR, HOUR_S, 1)] and everything.calls[LOOK_UP]
    assert series.between("acme", HOUR, HOUR + HOUR_S) == everything


def test_seconds_become_minutes_after_their_retention_and_minutes_go_after_theirs(settings: Settings) -> None:
    kept = {"DEMAND_SECONDS_KEPT_DAYS": 14, "DEMAND_MINUTES_KEPT_DAYS": 30}
    settings.ENV = settings.ENV.model_copy(update=kept)
    demand = busy(1, 120, start=HOUR)
    keep(demand)
    rollup.pack_hours(now=LATER)
    assert rollup.thin_out(now=LATER + timedelta(days=13)) == 0
    assert rollup.thin_out(now=LATER + timedelta(days=15)) == 1
    assert rows() == [(HOUR, HOUR_S, 60)]
    by_minute = series.between("acme", HOUR, HOUR + HOUR_S)
    assert by_minute == demand.every(60)
    assert sum(calls.allowed for _, _, calls in by_minute.each_calls()) == sum(
        calls.allowed for _, _, calls in demand.each_calls()
    )
    assert rollup.prune(now=LATER + timedelta(days=29)) == 0
    assert rollup.prune(now=LATER + timedelta(days=31)) == 1


def test_a_series_is_of_one_tenant_one_action_and_the_seconds_that_were_asked_for() -> None:
    keep(busy(2, 120, start=HOUR))
    keep(a_minute(), tenant="globex")
    assert set(series.of_tenants(["acme", "globex", "initech"], HOUR, HOUR + HOUR_S)) == {"acme", "globex"}
    one = series.between("acme", HOUR + 30, HOUR + 90, action_id="action1")
    assert set(one.calls) == {("action1", "ab12cd34")} and set(one.limits) == {("action1", "minute")}
    assert sorted(one.calls["action1", "ab12cd34"]) == list(range(HOUR + 30, HOUR + 90))
    assert series.between("initech", HOUR, HOUR + HOUR_S) == Demand()


def test_an_active_second_of_an_action_takes_at_most_fifty_bytes_in_the_database() -> None:
    """Also of a tenant that calls once a minute: its hours are one row each."""
    before, seconds = used_bytes(), 0
    with transaction.atomic():
        for number in range(12):
            keep(busy(1, 20, start=HOUR) if number % 2 else sparse(), tenant=f"tenant-{number}")
            seconds += 20 if number % 2 else 60
        rollup.pack_hours(now=LATER)
    assert 0 < used_bytes() - before <= 50 * seconds


def sparse() -> Demand:
    called = range(HOUR + 7, HOUR + HOUR_S, 60)
    return Demand(
        {LOOK_UP: {second: Calls(allowed=1, units=1) for second in called}},
        {("", "minute"): {second: Level(1, 100, 100) for second in called}},
    )


def used_bytes() -> int:
    """Bytes of the live rows with their entries in three indexes, a hundred for each row; a vacuum frees the others."""
    row = "length(data) + length(tenant_id) + 26"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            row = "pg_column_size(limiter_demandblock.*) + 4"
        cursor.execute(f"SELECT coalesce(sum({row} + 100), 0) FROM limiter_demandblock")
        return int(cursor.fetchone()[0])
