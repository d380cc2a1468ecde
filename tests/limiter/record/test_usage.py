"""Usage from the store's counts into rows: nothing counted twice, nothing left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from limiter.core import keys, latency
from limiter.models import UsageBatch, UsageDay, UsageHour, UsageMinute
from limiter.record import batches, keeping, rollup, usage
from limiter.record.scripts import Client
from tests.limiter.core.given import T0, S

pytestmark = pytest.mark.django_db
MINUTE = T0 // (60 * S)
START = datetime.fromtimestamp(MINUTE * 60, UTC)


def count(client: Client, *, minute: int = MINUTE, tenant: str = "acme", **counters: int) -> None:
    for counter, by in counters.items():
        client.hincrby(keys.usage(1), f"{minute}|{tenant}|lookupOrder|{counter}", by)


def values(row: Any, *names: str) -> list[int]:
    return [getattr(row, name) for name in names]


def test_counts_become_a_row_by_the_minute_the_hour_and_the_day(client: Client) -> None:
    count(client, allowed=5, refused=2, shadow_refused=1, extra_cost=10, answered=4, unknown=1, latency_us=900)
    count(client, ms8=3, ms16=1)
    count(client, minute=MINUTE + 1, allowed=1)
    usage.drain(client, 1)
    first, second = UsageMinute.objects.order_by("start")
    assert (first.tenant_id, first.action_id, first.start) == ("acme", "lookupOrder", START)
    assert values(first, "allowed", "refused", "shadow_refused", "cost", "answered", "unknown") == [5, 2, 1, 15, 4, 1]
    assert (first.latency_us_sum, first.latency_histogram) == (900, {"8": 3, "16": 1})
    assert values(second, "allowed", "cost") == [1, 1]
    for model, start in ((UsageHour, START.replace(minute=0)), (UsageDay, START.replace(hour=0, minute=0))):
        row = model.objects.get()
        assert (row.start, row.allowed, row.cost) == (start, 6, 16)
    assert client.exists(keys.usage(1), keys.taken(keys.usage(1))) == 0


def test_later_counts_of_a_minute_are_added(client: Client) -> None:
    for _ in range(3):
        count(client, allowed=2, ms8=1, ms9=1)
        usage.drain(client, 1)
    row = UsageMinute.objects.get()
    assert (row.allowed, row.latency_histogram) == (6, {"8": 3, "9": 3})
    assert UsageDay.objects.get().allowed == 6


def test_a_histogram_returns_percentiles(client: Client) -> None:
    for latency_us, calls in ((10_000, 95), (500_000, 5)):
        field = f"{MINUTE}|acme|lookupOrder|ms{latency.bucket(latency_us)}"
        client.hincrby(keys.usage(1), field, calls)
    usage.drain(client, 1)
    histogram = {int(bucket): calls for bucket, calls in UsageHour.objects.get().latency_histogram.items()}
    assert latency.percentile_ms(histogram, 50) == pytest.approx(11, rel=0.2)
    assert latency.percentile_ms(histogram, 99) == pytest.approx(500, rel=0.2)


def test_one_who_died_after_the_commit_has_his_batch_counted_once(client: Client) -> None:
    count(client, allowed=7)
    batch = batches.take(client, keys.usage(1))
    assert batch is not None
    assert usage.store(batch.name, usage.read(batch.counts))
    count(client, allowed=1)  # meanwhile calls go on
    assert usage.drain(client, 1) == 0  # finds the batch stored, forgets it
    assert usage.drain(client, 1) == 1
    assert UsageMinute.objects.get().allowed == 8


def test_one_who_died_before_the_commit_leaves_his_batch_to_the_next(client: Client) -> None:
    count(client, allowed=7)
    assert batches.take(client, keys.usage(1)) is not None
    count(client, allowed=1)
    assert (usage.drain(client, 1), usage.drain(client, 1)) == (1, 1)
    assert UsageMinute.objects.get().allowed == 8


def test_a_transaction_that_fails_adds_nothing_and_marks_nothing(client: Client) -> None:
    count(client, allowed=7)
    batch = batches.take(client, keys.usage(1))
    assert batch is not None
    with pytest.raises(OperationalError), transaction.atomic():
        usage.store(batch.name, usage.read(batch.counts))
        raise OperationalError("the database went away")
    assert not UsageMinute.objects.exists() and not UsageBatch.objects.exists()
    usage.drain(client, 1)
    assert UsageMinute.objects.get().allowed == 7


def test_a_slow_drainer_does_not_drop_the_batch_of_another(client: Client) -> None:
    count(client, allowed=1)
    slow = batches.take(client, keys.usage(1))
    assert slow is not None
    usage.drain(client, 1)
    count(client, allowed=2)
    batches.take(client, keys.usage(1))
    batches.drop(client, keys.usage(1), slow)
    assert usage.drain(client, 1) == 1
    assert UsageMinute.objects.get().allowed == 3


def test_many_tenants_are_written_together(client: Client) -> None:
    for number in range(1_200):
        count(client, tenant=f"t{number}", allowed=number + 1)
    keeping_tenants = usage.drain(client, 1)
    assert keeping_tenants == 1_200 and UsageMinute.objects.count() == 1_200
    assert UsageDay.objects.get(tenant_id="t1199").allowed == 1_200


def test_each_level_is_kept_as_long_as_its_setting_says(db: None) -> None:
    now = timezone.now()
    for model in (UsageMinute, UsageHour, UsageDay):
        for days in (1, 15, 401):
            model.objects.create(tenant_id="acme", action_id="a", start=now - timedelta(days=days), allowed=1)
    UsageBatch.objects.create(batch="old", at=now - timedelta(days=20))
    UsageBatch.objects.create(batch="new", at=now)
    assert rollup.prune(now=now) == 3
    assert (UsageMinute.objects.count(), UsageHour.objects.count(), UsageDay.objects.count()) == (1, 2, 3)
    assert list(UsageBatch.objects.values_list("batch", flat=True)) == ["new"]
    assert rollup.prune(now=now) == 0


def test_all_connections_are_drained(client: Client) -> None:
    client.sadd(keys.connections(), 1, 2)
    count(client, allowed=1)
    client.hset(keys.usage(2), f"{MINUTE}|globex|createCase|allowed", 4)
    assert keeping.store_all_usage(client) == 2
    assert sorted(UsageMinute.objects.values_list("tenant_id", "allowed")) == [("acme", 1), ("globex", 4)]


def test_a_count_that_nobody_knows_holds_no_other_up(client: Client) -> None:
    count(client, allowed=2, brand_new=1)
    client.hset(keys.usage(1), mapping={"odd": 1, f"{MINUTE}|acme|lookupOrder|refused": "many"})
    usage.drain(client, 1)
    row = UsageMinute.objects.get()
    assert (row.allowed, row.refused) == (2, 0)
